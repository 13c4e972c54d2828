using System;
using System.Collections.Generic;
using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace Mayfly
{
    /// <summary>What a handler may ask of its invocation: the members of IFcContext (aliyun-fc.md 5.4) by name.</summary>
    internal sealed class Context
    {
        internal const string TypeName = "Aliyun.Serverless.Core.IFcContext";

        private static readonly string[] Levels = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE" };  // as Microsoft.Extensions.Logging.LogLevel counts
        private static int least = 2;  // one for the instance, as the handler's code expects

        internal string RequestId = "";
        internal string[] Credentials = { "", "", "" };
        internal int Retries;
        private readonly JsonElement start;

        internal Context(JsonElement start) { this.start = start; }

        internal object As(Type type)
        {
            JsonElement function = start.GetProperty("function"), service = start.GetProperty("service");
            return Facade.Make(type, new Dictionary<string, object>
            {
                ["RequestId"] = RequestId,
                ["Region"] = Text(start, "region"),
                ["AccountId"] = Text(start, "account"),
                ["RetryCount"] = Retries,
                ["Credentials"] = new Dictionary<string, object> { ["AccessKeyId"] = Credentials[0], ["AccessKeySecret"] = Credentials[1], ["SecurityToken"] = Credentials[2] },
                ["FunctionParam"] = new Dictionary<string, object>
                {
                    ["FunctionName"] = Text(function, "name"),
                    ["FunctionHandler"] = Text(start, "handler"),
                    ["FunctionInitializer"] = Text(start, "initializer"),
                    ["MemoryLimitInMB"] = function.GetProperty("memory").GetInt32(),
                    ["FunctionTimeout"] = Seconds(function, "timeout"),
                    ["InitializationTimeout"] = Seconds(function, "initialization_timeout"),
                },
                ["ServiceMeta"] = new Dictionary<string, object>
                {
                    ["Name"] = Text(service, "name"), ["LogProject"] = Text(service, "log_project"), ["LogStore"] = Text(service, "log_store"),
                    ["Qualifier"] = Text(service, "qualifier"), ["VersionId"] = Text(service, "version_id"),
                },
                ["Logger"] = new Func<Type, object>(logger => Facade.Make(logger, new Dictionary<string, object>(), Log)),
            });
        }

        /// <summary>IFcLogger: an ILogger with a least level. The types are the package's, so that they are known by name only.</summary>
        private object Log(MethodInfo method, object[] arguments)
        {
            switch (method.Name)
            {
                case "get_EnabledLogLevel": return Enum.ToObject(method.ReturnType, least);
                case "set_EnabledLogLevel": least = Convert.ToInt32(arguments[0], CultureInfo.InvariantCulture); return null;
                case "IsEnabled": return Convert.ToInt32(arguments[0], CultureInfo.InvariantCulture) >= least;
                case "BeginScope": return new Scope();
                case "Log": Print(arguments); return null;
                default: throw new NotSupportedException("the logger has no " + method.Name);
            }
        }

        /// <summary>Log(level, event, state, exception, formatter): "2026-11-20T10:00:00.000Z request-id [INFO] text" (aliyun-fc.md 5.8).</summary>
        private void Print(object[] arguments)
        {
            int level = Convert.ToInt32(arguments[0], CultureInfo.InvariantCulture);
            if (level < least || level >= Levels.Length - 1) return;
            string text = (string)((Delegate)arguments[4])?.DynamicInvoke(arguments[2], arguments[3]) ?? Convert.ToString(arguments[2], CultureInfo.InvariantCulture);
            if (arguments[3] != null) text += "\n" + arguments[3];
            Console.Out.WriteLine(DateTime.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture) + " " + RequestId + " [" + Levels[level] + "] " + text);
        }

        internal static string Text(JsonElement json, string name) => json.TryGetProperty(name, out JsonElement value) ? value.GetString() : "";

        private static TimeSpan Seconds(JsonElement json, string name) => TimeSpan.FromSeconds(json.TryGetProperty(name, out JsonElement value) ? value.GetDouble() : 0);

        private sealed class Scope : IDisposable
        {
            public void Dispose() { }
        }
    }
}
