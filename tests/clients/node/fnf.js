// Function Flow through @alicloud/fnf-2019-03-15. Exits non-zero with the first difference.
const assert = require('assert');
const FnF = require('@alicloud/fnf-2019-03-15');

const { ENDPOINT, ACCESS_KEY_ID, ACCESS_KEY_SECRET } = process.env;
const client = new FnF({ endpoint: ENDPOINT, accessKeyId: ACCESS_KEY_ID, accessKeySecret: ACCESS_KEY_SECRET });

const definition = `
version: v1
type: flow
steps:
  - type: wait
    name: rest
    duration: 1
  - type: choice
    name: ask
    choices:
      - condition: $.n > 1
        goto: many
    default:
      goto: few
  - type: pass
    name: few
    end: true
    outputMappings: [{ target: answer, source: few }]
  - type: pass
    name: many
    outputMappings: [{ target: answer, source: many }]
`;

async function main() {
  await client.createFlow({ Name: 'choose', Definition: definition, Description: 'made by pop-core', Type: 'FDL' });
  assert.strictEqual((await client.describeFlow({ Name: 'choose' })).Definition, definition);
  for (const [n, answer] of [[1, 'few'], [2, 'many']]) {
    const { Name } = await client.startExecution({ FlowName: 'choose', Input: JSON.stringify({ n }), ExecutionName: '' });
    const ended = await client.describeExecution({ FlowName: 'choose', ExecutionName: Name, WaitTimeSeconds: 20 });
    assert.strictEqual(ended.Status, 'Succeeded', JSON.stringify(ended));
    assert.strictEqual(JSON.parse(ended.Output).answer, answer);
  }
  assert.strictEqual((await client.listExecutions({ FlowName: 'choose', Limit: 10 })).Executions.length, 2);
  await assert.rejects(client.describeFlow({ Name: 'nothing' }), (error) => error.code === 'FlowNotExists');
  await client.deleteFlow({ Name: 'choose' });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
