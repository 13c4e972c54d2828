using System;
using System.Collections;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace Mayfly
{
    /// <summary>
    /// The program of a .NET function's process: waits as a generic process for the start frame, becomes its function, and serves calls, one
    /// after another or several at once as the function allows.
    /// </summary>
    public static class Program
    {
        private const int Descriptor = 3;

        private static readonly FunctionLoader Loader = new FunctionLoader();
        private static Frames frames;
        private static JsonElement start;
        private static Handler handler, preStop, preFreeze;
        private static Values values;
        private static readonly object ofKeys = new object();
        private static string keys = "";  // id \0 secret \0 token, as the last call brought them

        /// <summary>An interface as a package would bring it, and an object as a handler would take it, for the rehearsal.</summary>
        public interface IRehearsed
        {
            string Region { get; }
        }
        public sealed class Rehearsed
        {
            public string Name { get; set; }
            public static Rehearsed Handle(Rehearsed each, IRehearsed context) => new Rehearsed { Name = context.Region };
        }

        public static int Main()
        {
            frames = new Frames(Descriptor);
            Rehearse();
            Frames.Frame first = frames.Read();
            if (first == null) return 0;
            start = JsonDocument.Parse(first.Payload).RootElement;
            SetEnvironment();
            int concurrency = start.TryGetProperty("concurrency", out JsonElement most) ? most.GetInt32() : 1;
            ThreadPool.GetMinThreads(out int workers, out int completions);
            ThreadPool.SetMinThreads(Math.Max(workers, concurrency), completions);  // else the pool grows by two threads a second
            if (!Begin()) return 1;
            try
            {
                for (Frames.Frame frame; (frame = frames.Read()) != null;)
                {
                    Frames.Frame each = frame;
                    if (concurrency > 1) Task.Run(() => Serve(each));
                    else Serve(each).GetAwaiter().GetResult();
                }
            }
            catch (IOException)
            {
                return 1;  // nobody is there to answer any more
            }
            return 0;
        }

        /// <summary>Has what every start needs loaded and compiled before there is a function.</summary>
        private static void Rehearse()
        {
            // Objects of the package's interfaces are made in this context: their assembly must find the package's, on runtimes before .NET 7 too.
            using (Loader.EnterContextualReflection())
            {
                byte[] about = Encoding.UTF8.GetBytes("{\"Name\":\"\",\"region\":\"-\",\"function\":{\"memory\":1},\"service\":{}}");
                using (JsonDocument json = JsonDocument.Parse(about))
                {
                    var context = new Context(json.RootElement);
                    Handler rehearsed = Handler.Of(typeof(Rehearsed), nameof(Rehearsed.Handle));
                    var forms = new Values(rehearsed.Method);
                    Handler.Result result = rehearsed.Call(type => type == typeof(IRehearsed) ? context.As(type) : forms.Read(about, type)).GetAwaiter().GetResult();
                    forms.Write(result.Value, result.Declared);
                }
            }
            Console.Out.Flush();
        }

        /// <summary>Loads the function and runs its initializer; whether that went well has been told.</summary>
        private static bool Begin()
        {
            var watch = Stopwatch.StartNew();
            long importUs = 0, initUs = 0;
            try
            {
                string name = Context.Text(start, "handler"), code = Context.Text(start, "code");
                Directory.SetCurrentDirectory(code);
                Loader.Open(code, Handler.AssemblyOf(name), Environment.GetEnvironmentVariable("LD_LIBRARY_PATH"));
                using (Loader.EnterContextualReflection())
                {
                    handler = Handler.Find(Loader, name);
                    values = new Values(handler.Method);
                    preStop = Optional("pre_stop");
                    preFreeze = Optional("pre_freeze");
                    Handler initializer = Optional("initializer");
                    importUs = Micros(watch);
                    if (initializer != null)
                    {
                        frames.Write(Frames.Imported, 0, Frames.Ok, 0, Frames.Nothing, Frames.Nothing);
                        Run(initializer, ContextOf(Context.Text(start, "request_id"), keys)).GetAwaiter().GetResult();
                    }
                    initUs = Micros(watch) - importUs;
                }
            }
            catch (Exception failure)
            {
                frames.Write(Frames.Failed, 0, Frames.Ok, Micros(watch), Frames.Nothing, Errors.Body(failure));
                return false;
            }
            byte[] phases = Encoding.UTF8.GetBytes("{\"import_us\":" + importUs + ",\"init_us\":" + initUs + "}");
            frames.Write(Frames.Ready, 0, Frames.Ok, Micros(watch), phases, Frames.Nothing);
            return true;
        }

        private static Handler Optional(string member)
        {
            string name = Context.Text(start, member);
            return name.Length == 0 ? null : Handler.Find(Loader, name);
        }

        /// <summary>Of what runs from now on: the environment has its credentials too.</summary>
        private static Context ContextOf(string requestId, string triple)
        {
            SetKeys(triple);
            return new Context(start) { RequestId = requestId, Credentials = triple.Split('\0') };
        }

        private static Task Run(Handler hook, Context context) => hook.Call(type => type.FullName == Context.TypeName ? context.As(type) : null);

        private static async Task Serve(Frames.Frame frame)
        {
            try
            {
                using (Loader.EnterContextualReflection())
                {
                    if (frame.Kind == Frames.Call) await Answer(frame).ConfigureAwait(false);
                    else if (frame.Kind == Frames.Hook) await Hook(frame).ConfigureAwait(false);
                }
            }
            catch (IOException)
            {
                Environment.Exit(1);  // nobody is there to answer any more
            }
        }

        private static async Task Answer(Frames.Frame frame)
        {
            var watch = Stopwatch.StartNew();
            Outcome outcome = null;
            byte[] error = null;
            try
            {
                string[] parts = frame.MetaText.Split('\u0001');
                Context context = ContextOf(parts[0], parts[1]);
                context.Retries = frame.Retries;
                bool http = parts.Length > 2 && parts[2].Length > 0;
                if (http && handler.IsHttp) outcome = await Http(frame, context, parts[2]).ConfigureAwait(false);
                else outcome = await Event(frame, context).ConfigureAwait(false);
                if (outcome.Body.Length > Frames.MaxPayloadBytes) throw TooLarge(outcome.Body.Length);
            }
            catch (Exception failure)
            {
                error = Errors.Body(failure);
            }
            if (error == null) frames.Write(Frames.Reply, frame.Call, Frames.Ok, Micros(watch), outcome.Meta, outcome.Body);
            else frames.Write(Frames.Reply, frame.Call, Frames.HandledError, Micros(watch), Frames.Nothing, error);
        }

        private static PackageException TooLarge(int size) =>
            new PackageException("ResultTooLarge", "The result has " + size + " bytes; at most " + Frames.MaxPayloadBytes + " can be answered at once, stream it instead");

        private static async Task<Outcome> Event(Frames.Frame frame, Context context)
        {
            if (handler.IsHttp) throw new PackageException("HandlerMismatch", "the handler takes an HTTP request, and this call is an event");
            bool given = false;
            Handler.Result result = await handler.Call(type =>
            {
                if (type.FullName == Context.TypeName) return context.As(type);
                if (given) return null;
                given = true;
                return values.Read(frame.Payload, type);
            }).ConfigureAwait(false);
            var stream = result.Value as Stream;
            if (stream == null) return new Outcome { Body = values.Write(result.Value, result.Declared) };
            if (stream is MemoryStream || stream.CanSeek) return new Outcome { Body = Bodies.Whole(stream) };
            Bodies.Pass(stream, frames, frame.Call);
            return new Outcome();
        }

        private static async Task<Outcome> Http(Frames.Frame frame, Context context, string about)
        {
            using (JsonDocument json = JsonDocument.Parse(about))
            {
                var exchange = new HttpExchange(Loader, json.RootElement, frame.Payload, frames, frame.Call);
                await handler.Call(type => type.FullName == Context.TypeName ? context.As(type) : exchange.Argument(type)).ConfigureAwait(false);
                return exchange.Answered();
            }
        }

        private static async Task Hook(Frames.Frame frame)
        {
            string[] parts = frame.MetaText.Split('\u0001');
            Handler hook = parts[0] == "preStop" ? preStop : preFreeze;
            try
            {
                Context context = parts.Length > 2 ? ContextOf(parts[1], parts[2]) : ContextOf("", keys);  // an older server sends the name alone
                if (hook != null) await Run(hook, context).ConfigureAwait(false);
            }
            catch (Exception failure)
            {
                Console.Error.WriteLine(Errors.Unwrapped(failure));
            }
            frames.Write(Frames.Reply, frame.Call, Frames.Ok, 0, Frames.Nothing, Frames.Nothing);
        }

        /// <summary>Replaces the environment of this process as .NET sees it: it was started before anybody knew for which function.</summary>
        private static void SetEnvironment()
        {
            foreach (DictionaryEntry each in Environment.GetEnvironmentVariables()) Environment.SetEnvironmentVariable((string)each.Key, null);
            foreach (JsonProperty each in start.GetProperty("environment").EnumerateObject()) Environment.SetEnvironmentVariable(each.Name, each.Value.GetString());
            JsonElement credentials = start.GetProperty("credentials");
            Environment.SetEnvironmentVariable("FC_INSTANCE_ID", Context.Text(start, "instance_id"));
            SetKeys(credentials[0].GetString() + "\0" + credentials[1].GetString() + "\0" + credentials[2].GetString());
            TimeZoneInfo.ClearCachedData();  // TZ
        }

        private static void SetKeys(string triple)
        {
            lock (ofKeys)
            {
                if (triple == keys) return;
                string[] each = triple.Split('\0');
                Environment.SetEnvironmentVariable("ALIBABA_CLOUD_ACCESS_KEY_ID", each[0]);
                Environment.SetEnvironmentVariable("ALIBABA_CLOUD_ACCESS_KEY_SECRET", each[1]);
                Environment.SetEnvironmentVariable("ALIBABA_CLOUD_SECURITY_TOKEN", each[2]);
                keys = triple;
            }
        }

        private static long Micros(Stopwatch watch) => watch.ElapsedTicks * 1000000 / Stopwatch.Frequency;
    }
}
