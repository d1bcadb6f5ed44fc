// Owns the form behind the range button: presets on one side, two free fields on the other.

import { Button, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { now } from './clock';
import { instantText, PRESETS } from './format';
import { formatBound, lastOf, parseRange, type Bound, type Range } from './range';
import classes from './TimePicker.module.css';

interface RangeFormProps {
  range: Range;
  choose: (range: Range) => void;
}

function fieldText(bound: Bound): string {
  return bound.kind === 'absolute' ? instantText(bound.ms) : formatBound(bound);
}

export function RangeForm({ range, choose }: RangeFormProps) {
  const [from, setFrom] = useState(fieldText(range.from));
  const [to, setTo] = useState(fieldText(range.to));
  const [problem, setProblem] = useState<string>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const parsed = parseRange(from, to);
    setProblem(parsed.problem);
    if (parsed.problem === undefined) choose(parsed.range);
  };
  const active = range.from.kind === 'relative' && formatBound(range.to) === 'now' ? range.from.agoMs : undefined;
  return (
    <div className={classes.form}>
      <div className={classes.presets} role="group" aria-label="Presets">
        {PRESETS.map((preset) => (
          <button key={preset.text} type="button" aria-pressed={preset.ms === active} onClick={() => choose(lastOf(preset.ms))}>
            Last {preset.name}
          </button>
        ))}
      </div>
      <form onSubmit={submit} className={classes.fields}>
        <TextInput label="From" value={from} onChange={(event) => setFrom(event.currentTarget.value)} spellCheck={false} />
        <TextInput label="To" value={to} onChange={(event) => setTo(event.currentTarget.value)} spellCheck={false} />
        <Button size="compact-xs" variant="subtle" onClick={() => setTo(instantText(now()))}>Set to the present moment</Button>
        {problem && <p className={classes.problem} role="alert">{problem}</p>}
        <Button type="submit" variant="filled">Apply</Button>
        <p className="dim">
          “now-90m”, “2026-03-14 15:00” or an ISO 8601 date. Times are local: {Intl.DateTimeFormat().resolvedOptions().timeZone}.
        </p>
      </form>
    </div>
  );
}
