using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.Loader;

namespace Mayfly
{
    /// <summary>
    /// Where a function's assemblies come from: its package (and what its .deps.json says of it), layers under /opt, else the runtime. Of an
    /// assembly that both the package and the runtime have, the higher version is taken, as `dotnet` itself does. What is of ASP.NET and not
    /// in the package comes from the ASP.NET that is installed beside the runtime.
    /// </summary>
    internal sealed class FunctionLoader : AssemblyLoadContext
    {
        private readonly Dictionary<string, string> platform = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);  // name -> path
        private readonly List<string> folders = new List<string>(), nativeFolders = new List<string>();
        private AssemblyDependencyResolver described;
        private string aspNet;

        internal FunctionLoader() : base("function")
        {
            foreach (string path in ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") ?? "").Split(':'))
                if (path.Length > 0) platform[Path.GetFileNameWithoutExtension(path)] = path;
        }

        /// <summary>Names the places; before the first assembly of the function is asked for.</summary>
        internal void Open(string code, string mainAssembly, string libraryPath)
        {
            folders.AddRange(new[] { code, code + "/bin", "/opt", "/opt/dotnet", "/opt/lib" });
            foreach (string folder in folders.ToArray())
            {
                nativeFolders.Add(folder);
                nativeFolders.Add(folder + "/runtimes/linux-x64/native");
            }
            nativeFolders.AddRange((libraryPath ?? "").Split(new[] { ':' }, StringSplitOptions.RemoveEmptyEntries));
            string main = Find(mainAssembly + ".dll");
            if (main != null && File.Exists(Path.ChangeExtension(main, ".deps.json"))) described = new AssemblyDependencyResolver(main);
            aspNet = AspNetFolder();
        }

        /// <summary>The assembly that a handler names.</summary>
        internal Assembly Main(string name, string handler)
        {
            string path = Find(name + ".dll");
            if (path == null) throw new PackageException("HandlerNotFound", "the package has no " + name + ".dll, which the handler '" + handler + "' names");
            return LoadFromAssemblyPath(path);
        }

        protected override Assembly Load(AssemblyName name)
        {
            string file = string.IsNullOrEmpty(name.CultureName) ? name.Name + ".dll" : name.CultureName + "/" + name.Name + ".dll";
            string own = described?.ResolveAssemblyToPath(name) ?? Find(file);
            if (platform.TryGetValue(name.Name, out string theirs) && (own == null || VersionOf(theirs) >= VersionOf(own))) return null;
            if (own == null && aspNet != null && File.Exists(aspNet + "/" + file)) own = aspNet + "/" + file;
            return own == null ? null : LoadFromAssemblyPath(own);
        }

        protected override IntPtr LoadUnmanagedDll(string name)
        {
            string path = described?.ResolveUnmanagedDllToPath(name);
            if (path != null) return LoadUnmanagedDllFromPath(path);
            foreach (string folder in nativeFolders)
                foreach (string form in new[] { name, "lib" + name + ".so", name + ".so", "lib" + name })
                    if (File.Exists(folder + "/" + form)) return LoadUnmanagedDllFromPath(folder + "/" + form);
            return IntPtr.Zero;
        }

        private string Find(string file)
        {
            foreach (string folder in folders)
                if (File.Exists(folder + "/" + file)) return folder + "/" + file;
            return null;
        }

        private static Version VersionOf(string path)
        {
            try
            {
                return AssemblyName.GetAssemblyName(path).Version;
            }
            catch (BadImageFormatException)
            {
                return new Version(0, 0);
            }
        }

        /// <summary>shared/Microsoft.AspNetCore.App of this runtime's own release, or null.</summary>
        private static string AspNetFolder()
        {
            string own = Path.GetDirectoryName(typeof(object).Assembly.Location), version = Path.GetFileName(own);
            string all = Path.GetDirectoryName(Path.GetDirectoryName(own)) + "/Microsoft.AspNetCore.App";
            if (Directory.Exists(all + "/" + version)) return all + "/" + version;
            string best = null;
            foreach (string folder in Directory.Exists(all) ? Directory.GetDirectories(all) : new string[0])
            {
                bool fits = Path.GetFileName(folder).StartsWith(version.Split('.')[0] + ".", StringComparison.Ordinal);
                if (fits && (best == null || string.CompareOrdinal(folder, best) > 0)) best = folder;
            }
            return best;
        }
    }
}
