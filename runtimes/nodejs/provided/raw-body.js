'use strict';
// Stands in for the module of this name that the vendor's runtime has and its examples use, where a function does not ship it:
// getRawBody(stream, options, callback), or a promise without callback. Options: limit in bytes, length expected, encoding of the result.

function problem(status, type, message, more) {
  return Object.assign(new Error(message), { status, statusCode: status, type, ...more });
}

function read(stream, options, done) {
  const { limit = Infinity, encoding } = options;
  const length = options.length === undefined || options.length === null ? null : Number(options.length);
  const pieces = [];
  let received = 0;
  const finish = (error, body) => {
    stream.removeListener('data', onData).removeListener('end', onEnd).removeListener('error', finish);
    done(error, body);
  };
  const onData = (piece) => {
    received += piece.length;
    if (received > limit) return finish(problem(413, 'entity.too.large', 'request entity too large', { limit, received }));
    pieces.push(typeof piece === 'string' ? Buffer.from(piece) : piece);
  };
  const onEnd = () => {
    if (length !== null && received !== length) {
      return finish(problem(400, 'request.size.invalid', 'request size did not match content length', { expected: length, received }));
    }
    const body = Buffer.concat(pieces);
    finish(null, encoding ? body.toString(encoding === true ? 'utf8' : encoding) : body);
  };
  if (length !== null && length > limit) return done(problem(413, 'entity.too.large', 'request entity too large', { limit, length, expected: length }));
  stream.on('data', onData).on('end', onEnd).on('error', finish);
}

module.exports = function getRawBody(stream, options, callback) {
  if (typeof options === 'function') [options, callback] = [{}, options];
  else if (options === true || typeof options === 'string') options = { encoding: options };
  if (callback) return read(stream, options || {}, callback);
  return new Promise((resolve, reject) => read(stream, options || {}, (error, body) => (error ? reject(error) : resolve(body))));
};
