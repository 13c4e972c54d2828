'use strict';
// Finds what a handler string names: "file.function", the file perhaps in folders, a CommonJS or an ES module.

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const { InitFailure, errorBody, failure } = require('./errors.js');

const ENDINGS = ['.js', '.mjs', '.cjs'];

function existing(base) {
  for (const ending of ENDINGS) {
    const file = base + ending;
    if (fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  }
  return null;
}

// [file, names]: of "lib/index.handler" the file index.* in lib and ["handler"]. A file's name may have dots, and so may the way from its
// exports to the function: the longest name that is a file wins.
function split(handler, code) {
  for (let dot = handler.lastIndexOf('.'); dot > 0; dot = handler.lastIndexOf('.', dot - 1)) {
    const file = existing(path.join(code, handler.slice(0, dot)));
    if (file) return [file, handler.slice(dot + 1).split('.')];
  }
  return null;
}

async function load(file) {
  if (!file.endsWith('.mjs')) {
    try {
      return require(file);
    } catch (error) {
      if (error?.code !== 'ERR_REQUIRE_ESM') throw error;  // package.json says "type": "module", or the top level awaits
    }
  }
  return import(pathToFileURL(file).href);
}

function find(module, names) {
  const walk = (from) => names.reduce((value, name) => value?.[name], from);
  let found = walk(module);
  if (typeof found !== 'function' && module?.default) found = walk(module.default);
  return typeof found === 'function' ? found : null;
}

function isMissingModule(error) {
  return error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND';
}

// Throws InitFailure, whose body is the caller's answer.
async function resolve(handler, code) {
  if (!/.\../.test(handler)) throw new InitFailure(failure('HandlerNotFound', `Handler '${handler}' must be 'file.function'`));
  const place = split(handler, code);
  if (!place) {
    const file = path.join(code, handler.slice(0, handler.lastIndexOf('.')));
    throw new InitFailure(failure('ImportModuleError', `Cannot find module '${file}' of handler '${handler}'`));
  }
  const [file, names] = place;
  let module;
  try {
    module = await load(file);
  } catch (error) {
    throw new InitFailure(errorBody(error, isMissingModule(error) ? 'ImportModuleError' : undefined));
  }
  const found = find(module, names);
  if (!found) throw new InitFailure(failure('HandlerNotFound', `Handler '${names.join('.')}' is missing on module '${path.relative(code, file)}'`));
  return found;
}

module.exports = { resolve };
