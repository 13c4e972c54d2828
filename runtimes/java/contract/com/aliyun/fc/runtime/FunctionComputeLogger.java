package com.aliyun.fc.runtime;

public interface FunctionComputeLogger {
  enum Level { TRACE, DEBUG, INFO, WARN, ERROR, FATAL }

  void trace(String text);
  void debug(String text);
  void info(String text);
  void warn(String text);
  void error(String text);
  void fatal(String text);
  void setLogLevel(Level level);
}
