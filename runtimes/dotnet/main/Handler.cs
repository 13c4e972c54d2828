using System;
using System.Collections.Generic;
using System.Reflection;
using System.Threading.Tasks;

namespace Mayfly
{
    /// <summary>What a handler string "Assembly::Namespace.Class::Method" names. One object of each class: handlers and hooks of a class share their state.</summary>
    internal sealed class Handler
    {
        private static readonly Dictionary<Type, object> Objects = new Dictionary<Type, object>();
        private readonly object target;

        internal sealed class Result
        {
            internal object Value;
            internal Type Declared;
        }

        internal readonly MethodInfo Method;
        internal readonly ParameterInfo[] Takes;
        internal readonly bool IsHttp;

        private Handler(object target, MethodInfo method)
        {
            this.target = target;
            Method = method;
            Takes = method.GetParameters();
            IsHttp = Array.Exists(Takes, each => HttpExchange.IsRequest(each.ParameterType) || HttpExchange.IsResponse(each.ParameterType));
        }

        internal static string AssemblyOf(string handler) => handler.Split(new[] { "::" }, StringSplitOptions.None)[0];

        internal static Handler Find(FunctionLoader loader, string handler)
        {
            string[] parts = handler.Split(new[] { "::" }, StringSplitOptions.None);
            if (parts.Length != 3) throw new PackageException("HandlerNotFound", "the handler '" + handler + "' is not of the form Assembly::Namespace.Class::Method");
            Type type = loader.Main(parts[0], handler).GetType(parts[1].Trim());
            if (type == null) throw new PackageException("HandlerNotFound", parts[0] + ".dll has no class " + parts[1] + ", which the handler '" + handler + "' names");
            Handler found = Of(type, parts[2].Trim());
            if (found == null) throw new PackageException("HandlerNotFound", "class " + parts[1] + " has no public method " + parts[2] + ", which the handler '" + handler + "' names");
            return found;
        }

        /// <summary>A public method of a class, of several the one that takes most; null if there is none.</summary>
        internal static Handler Of(Type type, string name)
        {
            MethodInfo method = null;
            foreach (MethodInfo each in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.FlattenHierarchy))
            {
                if (each.Name != name || each.ContainsGenericParameters) continue;
                if (method == null || each.GetParameters().Length > method.GetParameters().Length) method = each;
            }
            if (method == null) return null;
            object target = null;
            if (!method.IsStatic && !Objects.TryGetValue(type, out target)) Objects[type] = target = Activator.CreateInstance(type);
            return new Handler(target, method);
        }

        /// <summary>Calls it, each parameter given by `argument`, and waits for a task: the result and the type it was declared with.</summary>
        internal async Task<Result> Call(Func<Type, object> argument)
        {
            object result = Method.Invoke(target, BindingFlags.DoNotWrapExceptions, null, Array.ConvertAll(Takes, each => argument(each.ParameterType)), null);
            Type type = Method.ReturnType;
            if (result != null && type.IsValueType && type.FullName.StartsWith("System.Threading.Tasks.ValueTask", StringComparison.Ordinal)) result = type.GetMethod("AsTask").Invoke(result, null);
            var task = result as Task;
            if (task == null) return new Result { Value = result, Declared = type };
            await task.ConfigureAwait(false);
            if (!type.IsGenericType) return new Result { Declared = typeof(void) };
            return new Result { Value = task.GetType().GetProperty("Result").GetValue(task), Declared = type.GetGenericArguments()[0] };
        }
    }
}
