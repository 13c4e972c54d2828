// Object storage through ali-oss, V1 or V4 signatures, path style and virtual-host style. Exits non-zero with the first difference.
const assert = require('assert');
const { Readable } = require('stream');
const OSS = require('ali-oss');

const { ENDPOINT, ACCESS_KEY_ID, ACCESS_KEY_SECRET, V4 } = process.env;
const options = { region: 'oss-cn-hangzhou', endpoint: ENDPOINT, accessKeyId: ACCESS_KEY_ID, accessKeySecret: ACCESS_KEY_SECRET, authorizationV4: Boolean(V4) };

async function exercise(client, bucket) {
  await client.putBucket(bucket);
  client.useBucket(bucket);
  const key = 'dir/中 文+&?.txt';
  await client.put(key, Buffer.from('hello'), { meta: { uid: 7 } });
  const got = await client.get(key);
  assert.strictEqual(got.content.toString(), 'hello');
  const head = await client.head(key);
  assert.strictEqual(head.meta.uid, '7');
  await client.putStream('stream', Readable.from([Buffer.alloc(70000, 'a'), Buffer.from('b')]));
  assert.strictEqual((await client.head('stream')).res.headers['content-length'], '70001');
  const list = await client.listV2({ prefix: 'dir/' });
  assert.deepStrictEqual(list.objects.map((o) => o.name), [key]);
  await client.copy('copied', key);
  assert.strictEqual((await client.get('copied')).content.toString(), 'hello');
  await client.multipartUpload('big', Buffer.alloc(300 * 1024, 'x'), { partSize: 100 * 1024 });
  assert.strictEqual((await client.head('big')).res.headers['content-length'], String(300 * 1024));
  const info = await client.getBucketInfo(bucket);
  assert.strictEqual(info.bucket.Name, bucket);
  assert.ok((await client.listBuckets({ prefix: bucket })).buckets.some((b) => b.name === bucket));
  await assert.rejects(client.get('missing'), (error) => error.code === 'NoSuchKey' && error.status === 404);
  await client.deleteMulti([key, 'stream', 'copied', 'big']);
  await client.deleteBucket(bucket);
}

async function main() {
  const name = V4 ? 'node-v4' : 'node-v1';
  await exercise(new OSS({ ...options, sldEnable: true }), `${name}-path`);
  await exercise(new OSS(options), `${name}-host`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
