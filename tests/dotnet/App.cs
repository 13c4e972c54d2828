// Handlers of each shape that the vendor documents (aliyun-fc.md 5.4), for runtime_dotnet.py.
using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Pipes;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Aliyun.Serverless.Core;
using Microsoft.Extensions.Logging;

namespace Example
{
    public class Photo { public string Name { get; set; } public List<int> Sizes { get; set; } }
    public class Found { public string In { get; set; } public int Faces { get; set; } }

    public class Upper : IFcSerializer
    {
        public T Deserialize<T>(Stream stream) { return (T)(object)new StreamReader(stream).ReadToEnd().ToUpperInvariant(); }
        public void Serialize<T>(T response, Stream stream) { byte[] bytes = Encoding.UTF8.GetBytes("<" + response + ">"); stream.Write(bytes, 0, bytes.Length); }
    }

    public class Events
    {
        private static int running, most;
        private int count;

        public Stream Echo(Stream input, IFcContext context)
        {
            var output = new MemoryStream();
            input.CopyTo(output);
            return output;  // not rewound
        }
        public async Task<Stream> EchoLater(Stream input, IFcContext context)
        {
            var output = new MemoryStream();
            await input.CopyToAsync(output);
            output.Dispose();
            return output;
        }
        public Stream Same(Stream input) { return input; }
        public Found Poco(Photo photo, IFcContext context) { return new Found { In = photo.Name, Faces = photo.Sizes[1] }; }
        public async Task<List<Found>> PocoLater(Photo photo) { await Task.Yield(); return new List<Found> { new Found { In = photo.Name + "\u00fc<" } }; }
        public string Text(string text) { return text + "!"; }
        public byte[] Bytes(byte[] bytes) { return bytes.Reverse().ToArray(); }
        public void Nothing() { }
        public async Task NothingLater(Stream input) { await Task.Yield(); }
        public static int Static(int number) { return number * 2; }
        public async ValueTask<int> Value(int number) { await Task.Yield(); return number + 1; }
        [FcSerializer(typeof(Upper))]
        public string Own(string text) { return text; }

        public void Initialize(IFcContext context) { count = 10; Console.WriteLine("initializing " + context.FunctionParam.FunctionName); }
        public int Count() { return ++count; }
        public void Bye(IFcContext context) { Console.WriteLine("bye after " + count); }
        public void Broken(IFcContext context) { throw new InvalidOperationException("no model"); }

        public Stream Streamed(Stream input)
        {
            var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
            var far = new AnonymousPipeClientStream(PipeDirection.In, pipe.ClientSafePipeHandle);
            Task.Run(() => { using (pipe) { pipe.Write(Encoding.ASCII.GetBytes("one "), 0, 4); pipe.Write(Encoding.ASCII.GetBytes("two"), 0, 3); } });
            return far;
        }

        public string Overlap(string text)
        {
            int now = Interlocked.Increment(ref running);
            if (now == 2) most = 2;
            if (!SpinWait.SpinUntil(() => most == 2, 30000)) throw new TimeoutException("the other call never came");
            return text;
        }

        public string Big(int size) { return new string('x', size); }
        public int Garbage(int megabytes) { int sum = 0; for (int i = 0; i < megabytes; ++i) sum += new byte[1 << 20].Length >> 20; return sum; }
        public int Hog(int megabytes) { var kept = new List<byte[]>(); for (int i = 0; i < megabytes; ++i) kept.Add(new byte[1 << 20]); return kept.Count; }
        public string Exit(int status) { Environment.Exit(status); return ""; }
    }

    public class Contexts
    {
        public Dictionary<string, object> All(IFcContext context)
        {
            return new Dictionary<string, object> {
                {"request", context.RequestId}, {"region", context.Region}, {"account", context.AccountId},
                {"credentials", new[] {context.Credentials.AccessKeyId, context.Credentials.AccessKeySecret, context.Credentials.SecurityToken}},
                {"function", new object[] {context.FunctionParam.FunctionName, context.FunctionParam.FunctionHandler, context.FunctionParam.FunctionInitializer, context.FunctionParam.MemoryLimitInMB,
                                           context.FunctionParam.FunctionTimeout.TotalSeconds, context.FunctionParam.InitializationTimeout.TotalSeconds}},
                {"service", new[] {context.ServiceMeta.Name, context.ServiceMeta.Qualifier, context.ServiceMeta.VersionId, context.ServiceMeta.LogProject}},
            };
        }
        public string Later(IFcContext context) { return context.FromALaterRelease; }
        public Dictionary<string, object> Around()
        {
            var variables = new Dictionary<string, string>();
            foreach (System.Collections.DictionaryEntry each in Environment.GetEnvironmentVariables()) variables[(string)each.Key] = (string)each.Value;
            return new Dictionary<string, object> { {"environment", variables}, {"folder", Environment.CurrentDirectory}, {"hour", TimeZoneInfo.Local.BaseUtcOffset.TotalHours} };
        }
        public void Log(IFcContext context)
        {
            using (context.Logger.BeginScope("scope")) context.Logger.LogInformation("hello {0}", "you");
            context.Logger.LogDebug("not yet");
            context.Logger.EnabledLogLevel = LogLevel.Debug;
            context.Logger.LogDebug("now " + context.Logger.IsEnabled(LogLevel.Trace) + " " + context.Logger.EnabledLogLevel);
            Console.WriteLine("printed");
            context.Logger.LogError(new ArgumentException("odd"), "bad");
        }
    }

    public class Failures
    {
        public string Throw(string text) { return Deeper(text); }
        private static string Deeper(string text) { throw new FileNotFoundException("oops " + text, new FormatException("inner")); }
        public async Task<string> ThrowLater(string text) { await Task.Yield(); throw new ArgumentException("later"); }
    }

    public class Unmade
    {
        public Unmade() { throw new NotSupportedException("no GPU"); }
        public void Handle() { }
    }

    public class Natives
    {
        [DllImport("zlibish")] private static extern IntPtr zlibVersion();
        public string Version() { return Marshal.PtrToStringAnsi(zlibVersion()); }
        public string Other() { return Other1(); }
        private static string Other1() { return Side.Library.Name; }
    }
}
