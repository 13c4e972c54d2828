using System;
using System.Collections.Generic;
using System.Reflection;

namespace Mayfly
{
    /// <summary>
    /// An object of an interface that only the function's package knows (Aliyun.Serverless.Core), whatever its version: properties are
    /// answered from a table, tables within it become objects of the properties' types, and the rest goes to a function.
    /// </summary>
    public class Facade : DispatchProxy
    {
        private static readonly MethodInfo Creator = Array.Find(typeof(DispatchProxy).GetMethods(), each => each.Name == "Create" && each.GetGenericArguments().Length == 2);
        private IDictionary<string, object> values;
        private Func<MethodInfo, object[], object> other;

        internal static object Make(Type type, IDictionary<string, object> values, Func<MethodInfo, object[], object> other = null)
        {
            var facade = (Facade)Creator.MakeGenericMethod(type, typeof(Facade)).Invoke(null, null);
            facade.values = values;
            facade.other = other;
            return facade;
        }

        protected override object Invoke(MethodInfo method, object[] arguments)
        {
            if (method.Name.StartsWith("get_", StringComparison.Ordinal) && values.TryGetValue(method.Name.Substring(4), out object value))
            {
                if (value is Func<Type, object> make) value = values[method.Name.Substring(4)] = make(method.ReturnType);
                else if (value is IDictionary<string, object> table) value = values[method.Name.Substring(4)] = Make(method.ReturnType, table);
                return value;
            }
            if (other != null) return other(method, arguments);
            throw new NotSupportedException(method.DeclaringType.Name + "." + method.Name + " has no meaning here");
        }
    }
}
