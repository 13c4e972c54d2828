using System;
using System.IO;

namespace Mayfly
{
    /// <summary>What a call answers: the reply's meta and payload.</summary>
    internal sealed class Outcome
    {
        internal byte[] Meta = Frames.Nothing, Body = Frames.Nothing;
    }

    /// <summary>
    /// The body of an HTTP answer while it is written. It is kept until the end: a flush is no wish to have it sent, ASP.NET flushes after each
    /// WriteAsync, and a handler may still change the head. But an event stream is streamed from its first flush on, and any body from where it
    /// grows beyond what one reply can carry.
    /// </summary>
    internal sealed class ReplyBody : MemoryStream
    {
        private const int ChunkBytes = 64 << 10, MaxChunkBytes = 1 << 20;
        private readonly Frames frames;
        private readonly uint call;
        private readonly Func<byte[]> head;
        private readonly Func<bool> isLive;

        internal bool Streaming { get; private set; }

        internal ReplyBody(Frames frames, uint call, Func<byte[]> head, Func<bool> isLive)
        {
            this.frames = frames;
            this.call = call;
            this.head = head;
            this.isLive = isLive;
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            if (!Streaming && Position + count > Frames.MaxPayloadBytes) Begin();
            base.Write(buffer, offset, count);
            if (Streaming && Length >= ChunkBytes) Send();
        }

        public override void Flush()
        {
            if (!Streaming && isLive()) Begin();
            if (Streaming) Send();
        }

        private void Begin()
        {
            frames.Write(Frames.Head, call, Frames.Ok, 0, head(), Frames.Nothing);
            Streaming = true;
            Send();
        }

        /// <summary>What has gathered; also of one that the handler has closed.</summary>
        internal void Send()
        {
            byte[] bytes = ToArray();
            for (int at = 0; at < bytes.Length; at += MaxChunkBytes)
                frames.Write(Frames.Chunk, call, Frames.Ok, 0, Frames.Nothing, bytes, at, Math.Min(MaxChunkBytes, bytes.Length - at));
            if (CanWrite) SetLength(0);
        }
    }

    /// <summary>Streams that handlers return.</summary>
    internal static class Bodies
    {
        private const int ChunkBytes = 64 << 10;

        /// <summary>All of a stream that can be read again from its start; a memory stream even when it has been closed.</summary>
        internal static byte[] Whole(Stream stream)
        {
            if (stream is MemoryStream memory) return memory.ToArray();
            if (stream.CanSeek) stream.Position = 0;
            using (stream)
            {
                var all = new MemoryStream();
                stream.CopyTo(all);
                return all.ToArray();
            }
        }

        /// <summary>A stream of unknown length goes out as it comes: head, chunks; the reply that ends them is the caller's.</summary>
        internal static void Pass(Stream stream, Frames frames, uint call)
        {
            frames.Write(Frames.Head, call, Frames.Ok, 0, Frames.Nothing, Frames.Nothing);
            var buffer = new byte[ChunkBytes];
            using (stream)
                for (int got; (got = stream.Read(buffer, 0, buffer.Length)) > 0;) frames.Write(Frames.Chunk, call, Frames.Ok, 0, Frames.Nothing, buffer, 0, got);
        }
    }
}
