'use strict';
// The `context` a handler receives (aliyun-fc.md 5.3).

const { Logger } = require('./log.js');

class Credentials {
  constructor(accessKeyId, accessKeySecret, securityToken) {
    this.accessKeyId = accessKeyId;
    this.accessKeySecret = accessKeySecret;
    this.securityToken = securityToken;
    // Spelled like this in older examples.
    this.accessKeyID = accessKeyId;
  }
}

// No span is sent anywhere from inside; the fields exist for code that copies them.
const TRACING = Object.freeze({
  openTracingSpanContext: '',
  jaegerEndpoint: '',
  openTracingSpanBaggages: Object.freeze({}),
  spanContext: '',
  spanBaggages: Object.freeze({}),
  parseOpenTracingBaggages: () => ({}),
});

class Context {
  constructor(about, requestId, retryCount) {
    this.requestId = requestId;
    this.credentials = about.credentials;
    this.function = about.function;
    this.service = about.service;
    this.region = about.region;
    this.accountId = about.accountId;
    this.logger = new Logger(requestId);
    this.tracing = TRACING;
    this.retryCount = retryCount;
  }
}

// What all contexts of an instance share; its credentials change when a call brings others.
class About {
  constructor(start) {
    const { function: f, service: s } = start;
    this.credentials = null;
    this.function = {
      name: f.name,
      handler: f.handler,
      memory: f.memory,
      timeout: f.timeout,
      initializer: start.initializer || '',
      initializationTimeout: f.initialization_timeout ?? 0,
    };
    this.service = { name: s.name, logProject: s.log_project, logStore: s.log_store, qualifier: s.qualifier, versionId: s.version_id };
    this.region = start.region;
    this.accountId = start.account;
  }

  // `triple`: id \0 secret \0 token.
  setCredentials(triple) {
    const [id, secret, token] = triple.split('\0');
    this.credentials = new Credentials(id, secret, token);
    process.env.ALIBABA_CLOUD_ACCESS_KEY_ID = id;
    process.env.ALIBABA_CLOUD_ACCESS_KEY_SECRET = secret;
    process.env.ALIBABA_CLOUD_SECURITY_TOKEN = token;
  }
}

module.exports = { About, Context };
