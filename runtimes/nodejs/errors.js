'use strict';
// Errors as the caller receives them: {errorMessage, errorType, stackTrace: [line, ...]}, without our own frames or those of node itself.

const OWN = __dirname + '/';

class InitFailure extends Error {
  constructor(body) {
    super('initialization failed');
    this.body = body;
  }
}

function isOurs(line) {
  if (line.startsWith('- ' + OWN)) return true;  // of require()'s own list of who asked
  return line.startsWith('    at ') && (line.includes(OWN) || line.includes('(node:') || line.startsWith('    at node:') || line.includes('at async node:'));
}

const withoutOurs = (text) => text.split('\n').filter((line) => !isOurs(line));

// `type`: instead of the error's own.
function errorBody(error, type) {
  if (!(error instanceof Error) && !(error && typeof error.message === 'string' && typeof error.stack === 'string')) {
    return JSON.stringify({ errorMessage: typeof error === 'string' ? error : describe(error), ...(type ? { errorType: type } : {}) });
  }
  const stack = typeof error.stack === 'string' ? withoutOurs(error.stack) : [];
  return JSON.stringify({ errorMessage: withoutOurs(String(error.message)).join('\n'), errorType: type || error.name || error.constructor.name, stackTrace: stack });
}

function describe(value) {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function failure(type, message) {
  return JSON.stringify({ errorMessage: message, errorType: type, stackTrace: [] });
}

module.exports = { InitFailure, errorBody, failure };
