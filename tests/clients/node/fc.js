// Function Compute through @alicloud/fc2. Exits non-zero with the first difference.
const assert = require('assert');
const FC = require('@alicloud/fc2');
const JSZip = require('jszip');

const { ENDPOINT, ACCOUNT_ID, ACCESS_KEY_ID, ACCESS_KEY_SECRET, REGION } = process.env;
const client = new FC(ACCOUNT_ID, { accessKeyID: ACCESS_KEY_ID, accessKeySecret: ACCESS_KEY_SECRET, region: REGION, endpoint: ENDPOINT });

async function rejects(promise, code) {
  try {
    await promise;
  } catch (error) {
    assert.strictEqual(error.code, code, `${error.code}: ${error.message}`);
    return;
  }
  assert.fail(`expected ${code}`);
}

async function main() {
  await rejects(client.getService('node'), 'ServiceNotFound');
  await client.createService('node', { description: 'made by fc2' });
  await rejects(client.createService('node', {}), 'ServiceAlreadyExists');
  const zip = new JSZip();
  zip.file('index.py', 'import json\ndef handler(event, context):\n    return {"got": event.decode(), "id": context.request_id}\n');
  const code = { zipFile: (await zip.generateAsync({ type: 'nodebuffer' })).toString('base64') };
  await client.createFunction('node', { functionName: 'echo', handler: 'index.handler', runtime: 'python3', memorySize: 128, timeout: 10, code });
  await rejects(client.createFunction('node', { functionName: 'bad', handler: 'index.handler', runtime: 'python3', code: { zipFile: 'bm90IGEgemlw' } }), 'InvalidArgument');
  const reply = await client.invokeFunction('node', 'echo', Buffer.from('héllo'));
  const data = JSON.parse(Buffer.isBuffer(reply.data) ? reply.data.toString() : reply.data);
  assert.strictEqual(data.got, 'héllo');
  const list = await client.listFunctions('node', { limit: 10 });
  assert.deepStrictEqual(list.data.functions.map((f) => f.functionName), ['echo']);
  await client.updateFunction('node', 'echo', { environmentVariables: { A: 'b' } });
  assert.deepStrictEqual((await client.getFunction('node', 'echo')).data.environmentVariables, { A: 'b' });
  await client.deleteFunction('node', 'echo');
  await rejects(client.invokeFunction('node', 'echo', '{}'), 'FunctionNotFound');
  await client.deleteService('node');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
