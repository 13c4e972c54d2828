'use strict';
// Turns the generic process into the function's: its environment instead of the one this process was started with, its folders for
// modules, and what NODE_OPTIONS can still change once node runs.

const Module = require('module');
const path = require('path');
const v8 = require('v8');
const { writeOut } = require('./log.js');

const LAYERS = ['/opt/nodejs/node_modules', '/opt/nodejs', '/opt/node_modules'];
const PROVIDED = path.join(__dirname, 'provided');  // the last: a function's own module of the name wins

function replaceEnvironment(environment) {
  for (const name of Object.keys(process.env)) {
    if (!(name in environment)) delete process.env[name];
  }
  for (const name in environment) {
    if (process.env[name] !== environment[name]) process.env[name] = environment[name];  // node acts on some, TZ for one: only when it differs
  }
}

function addModuleFolders() {
  const folders = (process.env.NODE_PATH || '').split(':').filter(Boolean);
  process.env.NODE_PATH = [...new Set([...folders, ...LAYERS, PROVIDED])].join(':');
  Module._initPaths();  // reads NODE_PATH; what require() does with it once, at start
}

// Options of NODE_OPTIONS that act late. The others are named in the log rather than lost in silence.
function applyOptions(options, require) {
  const words = options.split(/\s+/).filter(Boolean);
  for (let i = 0; i < words.length; ++i) {
    const [name, value] = words[i].split('=', 2);
    if (name === '-r' || name === '--require') require(value ?? words[++i]);
    else if (name === '--enable-source-maps') process.setSourceMapsEnabled(true);
    else if (name === '--no-deprecation') process.noDeprecation = true;
    else if (name === '--throw-deprecation') process.throwDeprecation = true;
    else if (name === '--trace-deprecation') process.traceDeprecation = true;
    else if (name === '--stack-trace-limit') Error.stackTraceLimit = Number(value);
    else if (/^--(max|min|initial|semi)[-_]/.test(name)) v8.setFlagsFromString(words[i]);
    else writeOut(`NODE_OPTIONS: ${words[i]} has no effect, it would have to be known before node starts\n`);
  }
}

function enter(start) {
  replaceEnvironment({ ...start.environment, FC_INSTANCE_ID: start.instance_id });
  addModuleFolders();
  process.chdir(start.code);
  if (process.env.NODE_OPTIONS) applyOptions(process.env.NODE_OPTIONS, Module.createRequire(path.join(start.code, 'index.js')));
}

module.exports = { enter };
