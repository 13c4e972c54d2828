// Node's own HTTP server with the work of the benches' functions: JSON in, JSON out. Listens on 127.0.0.1:$PORT, or a free port; prints it.
const http = require('http');
const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const {name} = JSON.parse(Buffer.concat(parts));
    const body = JSON.stringify({hello: name});
    response.writeHead(200, {'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body)});
    response.end(body);
  });
});
server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => console.log(server.address().port));
