// The benches' functions for Node, those of functions.cc.
exports.hello = async (event) => JSON.stringify({hello: JSON.parse(event.toString()).name});

exports.page = (request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    response.setHeader('Content-Type', 'application/json');
    response.send(JSON.stringify({hello: JSON.parse(Buffer.concat(parts)).name}));
  });
};

exports.echo = async (event) => {
  const {nonce, ms} = JSON.parse(event.toString());
  await new Promise((done) => setTimeout(done, ms));
  console.log('echo', nonce);
  return JSON.stringify({nonce});
};

exports.nap = async (event) => {
  const began = process.hrtime.bigint() / 1000n;
  await new Promise((done) => setTimeout(done, JSON.parse(event.toString()).ms));
  return JSON.stringify({began_us: Number(began)});
};
