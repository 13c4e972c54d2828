'use strict';
// The function that a generic process rehearses with: see ../rehearse.js.
exports.handler = async (event, context) => ({ name: JSON.parse(event).name, request: context.requestId });
