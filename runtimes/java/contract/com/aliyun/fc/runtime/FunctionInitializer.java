package com.aliyun.fc.runtime;

import java.io.IOException;

/** Once per instance, before its first call. */
public interface FunctionInitializer {
  void initialize(Context context) throws IOException;
}
