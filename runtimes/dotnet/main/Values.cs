using System;
using System.IO;
using System.Reflection;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mayfly
{
    /// <summary>Events to what a handler's parameter is, and results to bytes: by the package's serializer where it names one, else as JSON.</summary>
    internal sealed class Values
    {
        internal static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        private static readonly JsonSerializerOptions Options = new JsonSerializerOptions { PropertyNameCaseInsensitive = true, Encoder = Encoder };
        private readonly object serializer;  // an Aliyun.Serverless.Core.IFcSerializer, or null

        internal Values(MethodInfo handler)
        {
            Type type = Named(handler.GetCustomAttributes(false)) ?? Named(handler.DeclaringType.Assembly.GetCustomAttributes(false));
            if (type != null) serializer = Activator.CreateInstance(type);
        }

        private static Type Named(object[] attributes)
        {
            object found = Array.Find(attributes, each => each.GetType().FullName == "Aliyun.Serverless.Core.FcSerializerAttribute");
            return (Type)found?.GetType().GetProperty("SerializerType").GetValue(found);
        }

        internal object Read(byte[] payload, Type wanted)
        {
            if (wanted.IsAssignableFrom(typeof(MemoryStream))) return new MemoryStream(payload, 0, payload.Length, false, true);
            if (wanted == typeof(byte[])) return payload;
            if (serializer != null) return Of("Deserialize", wanted).Invoke(serializer, new object[] { new MemoryStream(payload, false) });
            // A string may be sent as JSON or as it is.
            if (wanted == typeof(string) && !(payload.Length > 1 && payload[0] == '"' && payload[payload.Length - 1] == '"')) return Encoding.UTF8.GetString(payload);
            if (payload.Length == 0) return wanted.IsValueType ? Activator.CreateInstance(wanted) : null;
            return JsonSerializer.Deserialize(payload, wanted, Options);
        }

        internal byte[] Write(object result, Type declared)
        {
            if (declared == typeof(void)) return Frames.Nothing;
            if (result is byte[] bytes) return bytes;
            if (result is string text && serializer == null) return Encoding.UTF8.GetBytes(text);
            if (serializer == null) return JsonSerializer.SerializeToUtf8Bytes(result, result?.GetType() ?? typeof(object), Options);
            var stream = new MemoryStream();
            Of("Serialize", declared).Invoke(serializer, new[] { result, stream });
            return stream.ToArray();
        }

        private MethodInfo Of(string name, Type type)
        {
            Type contract = Array.Find(serializer.GetType().GetInterfaces(), each => each.FullName == "Aliyun.Serverless.Core.IFcSerializer");
            if (contract == null) throw new PackageException("InvalidSerializer", serializer.GetType().FullName + " is not an IFcSerializer");
            return contract.GetMethod(name).MakeGenericMethod(type);
        }
    }
}
