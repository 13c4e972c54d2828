// The interfaces that a package brings along as Aliyun.Serverless.Core.dll, with the members that handlers are written against.
using System;
using System.IO;
using Microsoft.Extensions.Logging;

[assembly: System.Reflection.AssemblyVersion("1.0.0.0")]

namespace Aliyun.Serverless.Core
{
    public interface ICredentials { string AccessKeyId { get; } string AccessKeySecret { get; } string SecurityToken { get; } }
    public interface IServiceMeta { string Name { get; } string LogProject { get; } string LogStore { get; } string Qualifier { get; } string VersionId { get; } }
    public interface IFcLogger : ILogger { LogLevel EnabledLogLevel { get; set; } }

    public interface IFunctionParameter
    {
        string FunctionName { get; }
        string FunctionHandler { get; }
        string FunctionInitializer { get; }
        int MemoryLimitInMB { get; }
        TimeSpan FunctionTimeout { get; }
        TimeSpan InitializationTimeout { get; }
    }

    public interface IFcContext
    {
        string RequestId { get; }
        IFunctionParameter FunctionParam { get; }
        IFcLogger Logger { get; }
        ICredentials Credentials { get; }
        string AccountId { get; }
        string Region { get; }
        IServiceMeta ServiceMeta { get; }
        string FromALaterRelease { get; }
    }

    public interface IFcSerializer
    {
        T Deserialize<T>(Stream requestStream);
        void Serialize<T>(T response, Stream responseStream);
    }

    [AttributeUsage(AttributeTargets.Method | AttributeTargets.Assembly)]
    public sealed class FcSerializerAttribute : Attribute
    {
        public Type SerializerType { get; set; }
        public FcSerializerAttribute(Type serializerType) { SerializerType = serializerType; }
    }
}
