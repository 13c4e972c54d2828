// A library that a package's handlers use.
namespace Side
{
    public static class Library { public static string Name { get { return "side"; } } }
}
