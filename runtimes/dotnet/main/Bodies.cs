using System;
using System.IO;

namespace Mayfly
{
    /// <summary>What a call answers: the reply's meta and payload.</summary>
    internal sealed class Outcome
    {
        internal byte[] Meta = Frames.Nothing, Body = Frames.Nothing;
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
                for (int got; (got = stream.Read(buffer, 0, buffer.Length)) > 0;) frames.Write(Frames.Chunk, call, Frames.Ok, 0, Frames.Nothing, buffer, got);
        }
    }
}
