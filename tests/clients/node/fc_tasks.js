// Stateful asynchronous invocations through @alicloud/fc-open20210406 (2021-04-06) and @alicloud/fc2 (2016-08-15), unmodified.
// Exits non-zero with the first difference. The functions come from tests/async_tasks.py. The argument says which client: both in one process
// share the sockets of httpx, which then believes that a read timed out.
const assert = require('assert');
const FC = require('@alicloud/fc2');
const OpenFC = require('@alicloud/fc-open20210406');
const { RuntimeOptions } = require('@alicloud/tea-util');

const { ENDPOINT, ACCOUNT_ID, ACCESS_KEY_ID, ACCESS_KEY_SECRET, REGION } = process.env;
const fc2 = new FC(ACCOUNT_ID, { accessKeyID: ACCESS_KEY_ID, accessKeySecret: ACCESS_KEY_SECRET, region: REGION, endpoint: ENDPOINT });
const open = new OpenFC.default({ accessKeyId: ACCESS_KEY_ID, accessKeySecret: ACCESS_KEY_SECRET, endpoint: ENDPOINT.replace('http://', ''), protocol: 'http', regionId: REGION });
const runtime = new RuntimeOptions({ readTimeout: 60000, connectTimeout: 60000 });
const path = '/services/tasks/functions/encode/stateful-async-invocations';

async function rejects(promise, code, status) {
  try {
    await promise;
  } catch (error) {
    // The open client knows "Code"; what FC sends, "ErrorCode", it keeps in `data`.
    assert.strictEqual(error.data ? error.data.ErrorCode : error.code, code, error.message);
    if (status) assert.ok(error.message.includes(`code: ${status}`), error.message);
    return;
  }
  assert.fail(`expected ${code}`);
}

async function until(what, condition) {
  for (const end = Date.now() + 60000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const value = await condition();
    if (value) return value;
  }
  assert.fail(`waited for ${what}`);
}

const submit = (id, ask) => open.invokeFunctionWithOptions('tasks', 'encode', new OpenFC.InvokeFunctionRequest({ body: Buffer.from(JSON.stringify(ask)) }),
  new OpenFC.InvokeFunctionHeaders({ xFcInvocationType: 'Async', xFcStatefulAsyncInvocationId: id }), runtime);
const get = async (id) => (await open.getStatefulAsyncInvocation('tasks', 'encode', id, new OpenFC.GetStatefulAsyncInvocationRequest({}))).body;
const list = async (query) => (await open.listStatefulAsyncInvocations('tasks', 'encode', new OpenFC.ListStatefulAsyncInvocationsRequest(query))).body;
const ended = (id, status) => until(`${id} to be ${status}`, async () => {
  const task = await get(id);
  return task.status === status && task;
});

async function through_open() {
  const accepted = await submit('open-1', { n: 1 });
  const done = await ended('open-1', 'Succeeded');
  assert.strictEqual(done.requestId, accepted.headers['x-fc-request-id']);
  assert.strictEqual(done.serviceName + '/' + done.functionName + '@' + done.qualifier, 'tasks/encode@LATEST');
  assert.deepStrictEqual(JSON.parse(done.invocationPayload), { n: 1 });
  assert.deepStrictEqual(JSON.parse(done.returnPayload).got, { n: 1 });
  assert.deepStrictEqual(done.events.map((event) => event.status), ['Enqueued', 'Dequeued', 'Running', 'Succeeded']);
  assert.ok(done.startedTime <= done.endTime && done.endTime - Date.now() < 60000);
  await rejects(submit('open-1', { n: 2 }), 'StatefulAsyncInvocationAlreadyExists', 409);
  await rejects(submit('1-bad', {}), 'InvalidArgument', 400);
  await rejects(get('nobody'), 'StatefulAsyncInvocationNotFound', 404);

  await submit('open-2', { raise: 'asked' });
  const failed = await ended('open-2', 'Failed');
  assert.strictEqual(failed.alreadyRetriedTimes, 1);
  assert.ok(failed.invocationErrorMessage.includes('asked'));

  await submit('open-3', { sleep: 100 });
  await ended('open-3', 'Running');
  await open.stopStatefulAsyncInvocation('tasks', 'encode', 'open-3', new OpenFC.StopStatefulAsyncInvocationRequest({}));
  await ended('open-3', 'Stopped');
  await rejects(open.stopStatefulAsyncInvocation('tasks', 'encode', 'open-3', new OpenFC.StopStatefulAsyncInvocationRequest({})),
    'StatefulAsyncInvocationAlreadyCompleted', 412);

  const ids = (page) => page.invocations.map((task) => task.invocationId);
  assert.deepStrictEqual(ids(await list({ invocationIdPrefix: 'open-', sortOrderByTime: 'asc' })), ['open-1', 'open-2', 'open-3']);
  assert.deepStrictEqual(ids(await list({ invocationIdPrefix: 'open-', sortOrderByTime: 'desc' })), ['open-3', 'open-2', 'open-1']);
  assert.deepStrictEqual(ids(await list({ invocationIdPrefix: 'open-', status: 'Failed' })), ['open-2']);
  assert.deepStrictEqual(ids(await list({ invocationIdPrefix: 'open-', startedTimeBegin: failed.startedTime, startedTimeEnd: failed.startedTime })), ['open-2']);
  const first = await list({ invocationIdPrefix: 'open-', limit: 2, includePayload: true });
  assert.deepStrictEqual(ids(first), ['open-3', 'open-2']);
  assert.strictEqual(first.invocations[1].invocationPayload, '{"raise":"asked"}');
  const second = await list({ invocationIdPrefix: 'open-', limit: 2, nextToken: first.nextToken });
  assert.deepStrictEqual(ids(second), ['open-1']);
  assert.strictEqual(second.nextToken, '');
  assert.strictEqual(second.invocations[0].invocationPayload, undefined);
  await rejects(list({ status: 'Nonsense' }), 'InvalidArgument', 400);
}

async function through_fc2() {
  const reply = await fc2.invokeFunction('tasks', 'encode', '{"n":5}', { 'X-Fc-Invocation-Type': 'Async', 'X-Fc-Stateful-Async-Invocation-Id': 'fc2-1' });
  const older = await until('fc2-1', async () => {
    const { data } = await fc2.get(`${path}/fc2-1`);
    return data.status === 'Succeeded' && data;
  });
  assert.strictEqual(older.requestId, reply.headers['x-fc-request-id']);
  assert.strictEqual((await fc2.get(path, { invocationIdPrefix: 'fc2-', sortOrderByTimeAsc: 'true' })).data.invocations.length, 1);
  await rejects(fc2.put(`${path}/fc2-1`), 'StatefulAsyncInvocationAlreadyCompleted');
}

(process.argv[2] === 'fc2' ? through_fc2 : through_open)().catch((error) => {
  console.error(error);
  process.exit(1);
});
