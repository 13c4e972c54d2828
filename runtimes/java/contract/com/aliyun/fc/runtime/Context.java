package com.aliyun.fc.runtime;

/** What a handler is told about its invocation. */
public interface Context {
  String getRequestId();
  Credentials getExecutionCredentials();
  FunctionParam getFunctionParam();
  Service getService();
  FunctionComputeLogger getLogger();
  OpenTracing getTracing();
  int getRetryCount();
}
