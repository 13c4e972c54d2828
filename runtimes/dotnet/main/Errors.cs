using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Text.Json;

namespace Mayfly
{
    /// <summary>A mistake of the package, told with a type of its own.</summary>
    internal sealed class PackageException : Exception
    {
        internal readonly string Type;
        internal PackageException(string type, string message, Exception cause = null) : base(message, cause) { Type = type; }
    }

    /// <summary>{errorMessage, errorType, stackTrace: [line, ...], cause}, without the runtime's own frames (aliyun-fc.md 5.5).</summary>
    internal static class Errors
    {
        private const int Deepest = 8;  // of causes within causes
        private static readonly string[] Ours = { "at Mayfly.", "at System.Reflection.", "at System.RuntimeMethodHandle.", "at System.RuntimeType.", "at System.Activator.",
                                                  "at System.Runtime.ExceptionServices.", "at System.Runtime.CompilerServices.TaskAwaiter", "at System.RuntimeTypeHandle.",
                                                  "at InvokeStub_", "--- End of" };

        internal static byte[] Body(Exception failure)
        {
            using (var bytes = new MemoryStream())
            {
                using (var json = new Utf8JsonWriter(bytes, new JsonWriterOptions { Encoder = Values.Encoder })) Describe(json, Unwrapped(failure), 0);
                return bytes.ToArray();
            }
        }

        internal static Exception Unwrapped(Exception failure)
        {
            for (;;)
            {
                bool wrapper = failure is TargetInvocationException || failure is AggregateException several && several.InnerExceptions.Count == 1;
                if (!wrapper || failure.InnerException == null) return failure;
                failure = failure.InnerException;
            }
        }

        private static void Describe(Utf8JsonWriter json, Exception failure, int depth)
        {
            json.WriteStartObject();
            json.WriteString("errorMessage", failure.Message);
            json.WriteString("errorType", (failure as PackageException)?.Type ?? failure.GetType().FullName);
            json.WriteStartArray("stackTrace");
            foreach (string line in Lines(failure)) json.WriteStringValue(line);
            json.WriteEndArray();
            if (failure.InnerException != null && depth < Deepest)
            {
                json.WritePropertyName("cause");
                Describe(json, Unwrapped(failure.InnerException), depth + 1);
            }
            json.WriteEndObject();
        }

        private static IEnumerable<string> Lines(Exception failure)
        {
            if (failure is PackageException || failure.StackTrace == null) yield break;
            foreach (string line in failure.StackTrace.Split('\n'))
            {
                string text = line.Trim();
                if (text.Length > 0 && !Array.Exists(Ours, prefix => text.StartsWith(prefix, StringComparison.Ordinal))) yield return text;
            }
        }
    }
}
