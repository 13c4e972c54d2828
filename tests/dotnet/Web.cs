// An HTTP handler as the vendor's Aliyun.Serverless.Core.Http shapes it, for runtime_dotnet.py.
using System.IO;
using System.Text;
using System.Threading.Tasks;
using Aliyun.Serverless.Core;
using Microsoft.AspNetCore.Http;

namespace Example
{
    public class Web
    {
        public async Task<HttpResponse> HandleRequest(HttpRequest request, HttpResponse response, IFcContext context)
        {
            string body = await new StreamReader(request.Body).ReadToEndAsync();
            response.StatusCode = 201;
            response.ContentType = "text/plain";
            response.Headers["X-Seen"] = new[] { request.Headers["x-own"].ToString(), request.Query["a"].ToString() };
            await response.WriteAsync(request.Method + " " + request.PathBase + "|" + request.Path.Value + " " + request.HttpContext.Connection.RemoteIpAddress + " " + body + " " + context.RequestId);
            return response;
        }

        public Task Replaced(HttpRequest request, HttpResponse response)
        {
            response.Body = new MemoryStream(Encoding.UTF8.GetBytes("of its own"));
            return Task.CompletedTask;
        }
    }
}
