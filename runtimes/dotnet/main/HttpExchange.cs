using System;
using System.Collections;
using System.IO;
using System.Net;
using System.Reflection;
using System.Text.Json;

namespace Mayfly
{
    /// <summary>
    /// A call of an HTTP function, for handlers that take ASP.NET's HttpRequest and HttpResponse (Aliyun.Serverless.Core.Http). ASP.NET is the
    /// package's or the machine's, in a version that is not known here: all of it is reached by name.
    /// </summary>
    internal sealed class HttpExchange
    {
        private const string Library = "Microsoft.AspNetCore.Http";

        private readonly object context, request, response;
        private readonly ReplyBody answer;

        internal static bool IsRequest(Type type) => type.FullName == Library + ".HttpRequest";
        internal static bool IsResponse(Type type) => type.FullName == Library + ".HttpResponse";

        internal HttpExchange(FunctionLoader loader, JsonElement about, byte[] body, Frames frames, uint call)
        {
            answer = new ReplyBody(frames, call, Head, () => ((string)Get(response, "ContentType") ?? "").StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase));
            Type type = loader.LoadFromAssemblyName(new AssemblyName(Library)).GetType(Library + ".DefaultHttpContext", true);
            context = Activator.CreateInstance(type);
            request = Get(context, "Request");
            response = Get(context, "Response");
            Describe(about);
            Set(request, "Body", new MemoryStream(body, false));
            Set(response, "Body", answer);
            object connection = Get(context, "Connection");
            if (IPAddress.TryParse(Context.Text(about, "clientIP"), out IPAddress address)) Set(connection, "RemoteIpAddress", address);
        }

        internal object Argument(Type type) => IsRequest(type) ? request : IsResponse(type) ? response : type.IsInstanceOfType(context) ? context : null;

        private void Describe(JsonElement about)
        {
            string path = Context.Text(about, "path"), uri = Context.Text(about, "requestURI");
            int question = uri.IndexOf('?');
            string whole = question < 0 ? uri : uri.Substring(0, question), query = question < 0 ? "" : uri.Substring(question);
            string start = whole.EndsWith(path, StringComparison.Ordinal) ? whole.Substring(0, whole.Length - path.Length) : "";
            Set(request, "Method", Context.Text(about, "method"));
            Set(request, "Scheme", "http");
            Set(request, "Protocol", "HTTP/1.1");
            SetNew(request, "Host", Context.Text(about, "host"));
            SetNew(request, "PathBase", Uri.UnescapeDataString(start.TrimEnd('/')));
            SetNew(request, "Path", path.Length == 0 ? "/" : Uri.UnescapeDataString(path));  // the server's is still encoded
            SetNew(request, "QueryString", query);
            PropertyInfo item = Indexer(Get(request, "Headers"));
            foreach (JsonProperty header in about.GetProperty("headers").EnumerateObject())
                item.SetValue(Get(request, "Headers"), Values(item.PropertyType, header.Value), new object[] { header.Name });
        }

        private static object Values(Type type, JsonElement value)
        {
            if (value.ValueKind != JsonValueKind.Array) return Activator.CreateInstance(type, value.GetString());
            var values = new string[value.GetArrayLength()];
            for (int i = 0; i < values.Length; ++i) values[i] = value[i].GetString();
            return Activator.CreateInstance(type, new object[] { values });
        }

        /// <summary>What was answered and has not been streamed: the meta and the body.</summary>
        internal Outcome Answered()
        {
            response.GetType().GetMethod("CompleteAsync")?.Invoke(response, null);  // what waits in the BodyWriter
            if (answer.Streaming)
            {
                answer.Send();
                return new Outcome();
            }
            var body = Get(response, "Body") as Stream;
            bool replaced = body != null && body != answer;  // FcHttpEntrypoint puts a stream of its own there
            return new Outcome { Meta = Head(), Body = replaced ? Bodies.Whole(body) : answer.ToArray() };
        }

        /// <summary>JSON {status, headers: {name: [value, ...]}}.</summary>
        private byte[] Head()
        {
            var head = new MemoryStream();
            using (var json = new Utf8JsonWriter(head, new JsonWriterOptions { Encoder = Mayfly.Values.Encoder }))
            {
                json.WriteStartObject();
                json.WriteNumber("status", (int)Get(response, "StatusCode"));
                json.WriteStartObject("headers");
                foreach (object pair in (IEnumerable)Get(response, "Headers"))
                {
                    json.WriteStartArray((string)Get(pair, "Key"));
                    foreach (object value in (IEnumerable)Get(pair, "Value")) json.WriteStringValue((string)value);
                    json.WriteEndArray();
                }
                json.WriteEndObject();
                json.WriteEndObject();
            }
            return head.ToArray();
        }

        private static object Get(object of, string name) => of.GetType().GetProperty(name).GetValue(of);
        private static void Set(object of, string name, object value) => of.GetType().GetProperty(name).SetValue(of, value);

        /// <summary>For properties whose type is a structure around a text.</summary>
        private static void SetNew(object of, string name, string text)
        {
            PropertyInfo property = of.GetType().GetProperty(name);
            property.SetValue(of, Activator.CreateInstance(property.PropertyType, text));
        }

        private static PropertyInfo Indexer(object headers)
        {
            Type type = Array.Find(headers.GetType().GetInterfaces(), each => each.FullName == Library + ".IHeaderDictionary");
            return type.GetProperty("Item");
        }
    }
}
