import { describe, expect, it } from 'vitest';
import { findCommands, type Command } from './commands';

const run = () => undefined;
const commands: Command[] = [
  { id: 'p', group: 'Pages', text: 'Hosts', run },
  ...Array.from({ length: 30 }, (_, i): Command => ({ id: `m${i}`, group: 'Metrics', text: `node_metric_${i}`, hint: 'of the host', run })),
  { id: 't', group: 'Theme', text: 'Theme: dark', run },
];

describe('the palette', () => {
  it('starts without the thousands of metrics', () => {
    expect(findCommands(commands, '').map((c) => c.id)).toEqual(['p', 't']);
  });
  it('puts what starts with the text first, and bounds each group', () => {
    const found = findCommands(commands, 'host');
    expect(found[0]?.id).toBe('p');
    expect(found.length).toBeLessThanOrEqual(10);
  });
  it('needs every word, groups included', () => {
    expect(findCommands(commands, 'theme dark').map((c) => c.id)).toEqual(['t']);
    expect(findCommands(commands, 'theme pink')).toEqual([]);
  });
});
