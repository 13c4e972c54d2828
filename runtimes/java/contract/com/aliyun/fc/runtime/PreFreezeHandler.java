package com.aliyun.fc.runtime;

import java.io.IOException;

/** Before an idle instance is paused. */
public interface PreFreezeHandler {
  void preFreeze(Context context) throws IOException;
}
