'use strict';
// Turns the generic process into the function's: its environment instead of the one this process was started with, its folders for
// modules. A function with NODE_OPTIONS, which node reads when it starts, gets a process that was started with them.

const Module = require('module');
const path = require('path');

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

function enter(start) {
  replaceEnvironment({ ...start.environment, FC_INSTANCE_ID: start.instance_id });
  addModuleFolders();
  process.chdir(start.code);
}

module.exports = { enter };
