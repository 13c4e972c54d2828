'use strict';
// The generic Node process: started ahead of need, it loads everything of its own, rehearses, and waits on descriptor 3 until the server
// says which function it is to be.

const { Link } = require('./link.js');
const { Server } = require('./server.js');
const { rehearse } = require('./rehearse.js');

const FRAMES_FD = 3;

rehearse().then(() => {
  const link = new Link(FRAMES_FD);
  const server = new Server(link);
  server.ownProcess();
  link.listen((...frame) => server.take(...frame), () => process.exit(0));
});
