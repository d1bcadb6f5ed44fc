// Owns the small box beside the crosshair: the time and the largest values under it. Plain DOM, since it moves with the mouse.

import type uPlot from 'uplot';
import { seriesColor } from '../design/palette';
import { formatValue } from '../design/units';
import { instantText } from '../time/format';
import type { Drawn } from './uplotOptions';

/** More lines than this hide the graph they explain. */
const MAX_LINES = 8;

export interface Tip {
  mount: (u: uPlot) => void;
  move: (u: uPlot, index: number | null) => void;
}

function line(name: string, value: string, color: string | undefined): HTMLElement {
  const row = document.createElement('div');
  row.className = 'plot-tip-row';
  const swatch = document.createElement('i');
  if (color) swatch.style.background = color;
  const label = document.createElement('span');
  label.textContent = name;
  const number = document.createElement('b');
  number.textContent = value;
  row.append(swatch, label, number);
  return row;
}

export function attachTip(drawn: Drawn): Tip {
  const box = document.createElement('div');
  box.className = 'plot-tip';
  box.hidden = true;

  const fill = (index: number) => {
    const { frame, look } = drawn;
    const rows = frame.series
      .filter((s) => !look.hidden.has(s.name) && s.values[index] !== null && s.values[index] !== undefined)
      .map((s) => ({ s, value: s.values[index]! }))
      .sort((a, b) => b.value - a.value);
    const time = document.createElement('div');
    time.className = 'plot-tip-time';
    time.textContent = instantText(frame.times[index]! * 1_000);
    const color = (i: number) => (look.kind === 'heat' ? undefined : seriesColor(i, look.scheme));
    const lines = rows.slice(0, MAX_LINES).map(({ s, value }) => line(s.name, formatValue(value, look.unit), color(s.color)));
    if (rows.length > MAX_LINES) lines.push(line(`and ${rows.length - MAX_LINES} more`, '', undefined));
    box.replaceChildren(time, ...lines);
  };

  return {
    mount: (u) => u.over.append(box),
    move: (u, index) => {
      // Only in the panel under the pointer: the others show the crosshair and their legends.
      const mine = u.over.matches(':hover') && index !== null && u.cursor.left !== undefined && u.cursor.left >= 0;
      box.hidden = !mine;
      if (!mine) return;
      fill(index);
      const left = u.cursor.left ?? 0;
      const width = u.over.clientWidth;
      box.style.left = left > width / 2 ? '' : `${left + 12}px`;
      box.style.right = left > width / 2 ? `${width - left + 12}px` : '';
    },
  };
}
