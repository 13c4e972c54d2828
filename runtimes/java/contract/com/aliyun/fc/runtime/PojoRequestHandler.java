package com.aliyun.fc.runtime;

/** The event is JSON and becomes an I; the result becomes JSON again. */
public interface PojoRequestHandler<I, O> {
  O handleRequest(I input, Context context);
}
