package mayfly.fc;

import com.aliyun.fc.runtime.Context;
import com.aliyun.fc.runtime.Credentials;
import com.aliyun.fc.runtime.FunctionComputeLogger;
import com.aliyun.fc.runtime.FunctionParam;
import com.aliyun.fc.runtime.OpenTracing;
import com.aliyun.fc.runtime.Service;
import java.util.Collections;
import java.util.Map;
import mayfly.Bridge;

/** The Context of one invocation (aliyun-fc.md 5.4). */
final class CallContext implements Context {
  private static final int MILLIS = 1000;

  private final Bridge.About about;
  private final Bridge.Invocation invocation;

  CallContext(Bridge.About about, Bridge.Invocation invocation) {
    this.about = about;
    this.invocation = invocation;
  }

  @Override public String getRequestId() { return invocation.requestId; }
  @Override public int getRetryCount() { return invocation.retries; }
  @Override public FunctionComputeLogger getLogger() { return new Logger(invocation.requestId); }

  @Override
  public Credentials getExecutionCredentials() {
    return new Credentials() {
      @Override public String getAccessKeyId() { return invocation.credentials[0]; }
      @Override public String getAccessKeySecret() { return invocation.credentials[1]; }
      @Override public String getSecurityToken() { return invocation.credentials[2]; }
    };
  }

  @Override
  public FunctionParam getFunctionParam() {
    return new FunctionParam() {
      @Override public String getFunctionName() { return about.functionName; }
      @Override public String getFunctionHandler() { return about.handler; }
      @Override public String getFunctionInitializer() { return about.initializer; }
      @Override public int getExecTimeLimitInMillis() { return about.timeoutSeconds * MILLIS; }
      @Override public int getMemoryLimitInMB() { return about.memoryMb; }
    };
  }

  @Override
  public Service getService() {
    return new Service() {
      @Override public String getName() { return about.serviceName; }
      @Override public String getLogProject() { return about.logProject; }
      @Override public String getLogStore() { return about.logStore; }
      @Override public String getQualifier() { return about.qualifier; }
      @Override public String getVersionId() { return about.versionId; }
    };
  }

  /** No span is sent anywhere from inside; the values exist for code that copies them. */
  @Override
  public OpenTracing getTracing() {
    return new OpenTracing() {
      @Override public String getSpanContext() { return null; }
      @Override public Map<String, String> getSpanBaggages() { return Collections.emptyMap(); }
      @Override public String getJaegerEndpoint() { return null; }
    };
  }
}
