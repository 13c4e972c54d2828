using System;
using System.Buffers.Binary;
using System.IO;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Mayfly
{
    /// <summary>The process's end of its frame stream, descriptor 3; the format is src/runtime/frame.h. One thread reads, any writes.</summary>
    internal sealed class Frames
    {
        internal const byte Start = 1, Ready = 2, Call = 3, Reply = 4, Failed = 5, Head = 6, Chunk = 7, Hook = 8, Imported = 9;
        internal const byte Ok = 0, HandledError = 1;
        internal const int MaxPayloadBytes = 33 << 20;  // kMaxPayloadBytes
        internal static readonly byte[] Nothing = new byte[0];
        private const int HeaderBytes = 24, ReadBytes = 64 << 10;

        internal sealed class Frame
        {
            internal byte Kind;
            internal int Retries;
            internal uint Call;
            internal byte[] Meta, Payload;
            internal string MetaText => Encoding.UTF8.GetString(Meta);
        }

        private readonly FileStream input, output;
        private readonly byte[] buffer = new byte[ReadBytes];
        private int start, end;  // what of buffer has been received and not been taken
        private readonly object writing = new object();

        internal Frames(int descriptor)
        {
            // Two streams without buffers of their own: reading must not wait for writing.
            input = new FileStream(new SafeFileHandle((IntPtr)descriptor, false), FileAccess.Read, 1);
            output = new FileStream(new SafeFileHandle((IntPtr)descriptor, false), FileAccess.Write, 1);
        }

        /// <summary>The next frame, or null when the server is gone.</summary>
        internal Frame Read()
        {
            if (!Have(HeaderBytes)) return null;
            var header = new ReadOnlySpan<byte>(buffer, start, HeaderBytes);
            int payloadSize = BinaryPrimitives.ReadInt32LittleEndian(header), metaSize = BinaryPrimitives.ReadInt32LittleEndian(header.Slice(4));
            var frame = new Frame { Kind = header[8], Retries = BinaryPrimitives.ReadUInt16LittleEndian(header.Slice(10)), Call = BinaryPrimitives.ReadUInt32LittleEndian(header.Slice(12)) };
            start += HeaderBytes;
            frame.Meta = Take(metaSize);
            frame.Payload = Take(payloadSize);
            return frame;
        }

        private byte[] Take(int size)
        {
            if (size == 0) return Nothing;
            var bytes = new byte[size];
            int had = Math.Min(size, end - start);
            Buffer.BlockCopy(buffer, start, bytes, 0, had);
            start += had;
            while (had < size)
            {
                int got = input.Read(bytes, had, size - had);
                if (got == 0) throw new EndOfStreamException("the server closed the stream within a frame");
                had += got;
            }
            return bytes;
        }

        private bool Have(int size)
        {
            while (end - start < size)
            {
                if (start > 0)
                {
                    Buffer.BlockCopy(buffer, start, buffer, 0, end - start);
                    end -= start;
                    start = 0;
                }
                int got = input.Read(buffer, end, buffer.Length - end);
                if (got == 0) return false;
                end += got;
            }
            return true;
        }

        internal void Write(byte kind, uint call, byte status, long durationUs, byte[] meta, byte[] payload, int offset, int size)
        {
            var frame = new byte[HeaderBytes + meta.Length + size];
            var header = new Span<byte>(frame);
            BinaryPrimitives.WriteInt32LittleEndian(header, size);
            BinaryPrimitives.WriteInt32LittleEndian(header.Slice(4), meta.Length);
            header[8] = kind;
            header[9] = status;
            BinaryPrimitives.WriteUInt32LittleEndian(header.Slice(12), call);
            BinaryPrimitives.WriteInt64LittleEndian(header.Slice(16), durationUs);
            Buffer.BlockCopy(meta, 0, frame, HeaderBytes, meta.Length);
            Buffer.BlockCopy(payload, offset, frame, HeaderBytes + meta.Length, size);
            lock (writing)
            {
                output.Write(frame, 0, frame.Length);
                output.Flush();
            }
        }

        internal void Write(byte kind, uint call, byte status, long durationUs, byte[] meta, byte[] payload) => Write(kind, call, status, durationUs, meta, payload, 0, payload.Length);
    }
}
