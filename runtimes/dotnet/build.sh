#!/bin/sh
# Compiles for .NET with what this machine has: the C# compiler of DOTNET's own SDK, else mono's mcs (Debian: mono-mcs). The references are
# the assemblies of the runtime itself. Prints what is missing and ends with 1 where there is no compiler that works.
#   build.sh DOTNET --check                           whether it can
#   build.sh DOTNET FOLDER                            main/ into FOLDER: mayfly.dll, mayfly.runtimeconfig.json
#   build.sh DOTNET --library OUT.dll ARGUMENT...     other sources, with arguments that both compilers take
set -eu
dotnet=$(readlink -f "$1")
shift
root=$(dirname "$dotnet")
newest() { ls -d "$@" 2>/dev/null | sort -V | tail -1; }
version=$(basename "$(newest "$root"/shared/Microsoft.NETCore.App/*)")
[ -n "$version" ] || { echo "$dotnet is not in the folder of a .NET: there is no $root/shared/Microsoft.NETCore.App"; exit 1; }
runtime=$root/shared/Microsoft.NETCore.App/$version
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_EnableDiagnostics=0 COMPlus_EnableDiagnostics=0

for each in "$runtime"/System*.dll "$runtime"/Microsoft.Win32*.dll "$runtime/mscorlib.dll" "$runtime/netstandard.dll"; do  # the managed ones of the folder
  case $each in *.Native.dll | *.WindowsRuntime*) ;; *) echo "-reference:\"$each\"" ;; esac
done >"$scratch/references"

csc=$(newest "$root"/sdk/*/Roslyn/bincore/csc.dll)
compile() {
  if [ -n "$csc" ]; then "$dotnet" "$csc" -nologo -noconfig -nostdlib -optimize -warnaserror -nowarn:1701,1702 -langversion:7.2 "@$scratch/references" "$@"
  else mcs -noconfig -nostdlib -optimize -warnaserror -nowarn:1701,1702 -langversion:7.2 -sdk:4.5 "@$scratch/references" "$@"; fi
}
# An SDK older than the machine's OpenSSL cannot compute the hashes that its compiler needs.
echo 'public class Probe { }' >"$scratch/probe.cs"
if [ -n "$csc" ] && ! compile -target:library -out:"$scratch/probe.dll" "$scratch/probe.cs" >"$scratch/log" 2>&1; then
  broken="; the compiler of $root fails: $(head -1 "$scratch/log")"
  csc=
fi
if [ -z "$csc" ] && ! command -v mcs >/dev/null; then
  echo "no C# compiler: neither an SDK in $root nor mcs (mono-mcs)${broken:-}"
  exit 1
fi

here=$(cd "$(dirname "$0")" && pwd)
if [ "$1" = --check ]; then  # a compiler that is older than the runtime may not read its assemblies
  compile -target:exe -out:"$scratch/mayfly.dll" "$here"/main/*.cs >"$scratch/log" 2>&1 || { echo "the C# compiler here cannot compile for .NET $version: $(head -1 "$scratch/log")"; exit 1; }
  exit
fi
if [ "$1" = --library ]; then
  out=$2
  shift 2
  compile -target:library -out:"$out" "$@"
  exit
fi
mkdir -p "$1"
compile -target:exe -out:"$1/mayfly.dll" "$here"/main/*.cs
cat >"$1/mayfly.runtimeconfig.json" <<JSON
{
  "runtimeOptions": {
    "framework": {"name": "Microsoft.NETCore.App", "version": "${version%.*}.0"},
    "rollForward": "LatestMajor",
    "configProperties": {
      "System.GC.Concurrent": false,
      "System.GC.Server": false,
      "System.Globalization.Invariant": true,
      "System.Globalization.PredefinedCulturesOnly": false,
      "System.Runtime.TieredCompilation.QuickJitForLoops": true
    }
  }
}
JSON
