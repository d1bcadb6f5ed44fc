// Owns how numbers with units are written: on axes, in legends, in figures. A unit is data; there is one function per job.

export type Unit = 'number' | 'percent' | 'bytes' | 'bytes/s' | 'ops/s' | 'seconds' | 'packets/s';

const IEC = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const SI = ['', 'k', 'M', 'G', 'T', 'P'];

/** Three significant digits without an exponent: 1234 → "1234", 12.345 → "12.3", 0.01234 → "0.0123". */
function digits(value: number): string {
  const abs = Math.abs(value);
  if (abs === 0) return '0';
  if (abs >= 100) return value.toFixed(0);
  if (abs >= 10) return trim(value.toFixed(1));
  if (abs >= 1) return trim(value.toFixed(2));
  if (abs >= 0.000_1) return trim(value.toPrecision(3));
  return value.toExponential(1);
}

function trim(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function scaled(value: number, base: number, names: readonly string[]): string {
  const abs = Math.abs(value);
  let power = abs < 1 ? 0 : Math.min(names.length - 1, Math.floor(Math.log(abs) / Math.log(base) + 1e-9));
  // 1023.99 KiB would be written as "1024 KiB": go one up instead.
  if (power < names.length - 1 && Math.round(abs / base ** power) >= base) power += 1;
  const name = names[power]!;
  return `${digits(value / base ** power)}${name === '' ? '' : ` ${name}`}`;
}

export function formatSeconds(value: number): string {
  const abs = Math.abs(value);
  if (abs === 0) return '0 s';
  if (abs < 1e-6) return `${digits(value * 1e9)} ns`;
  if (abs < 1e-3) return `${digits(value * 1e6)} µs`;
  if (abs < 1) return `${digits(value * 1e3)} ms`;
  if (abs < 120) return `${digits(value)} s`;
  if (abs < 7_200) return `${digits(value / 60)} min`;
  if (abs < 172_800) return `${digits(value / 3_600)} h`;
  return `${digits(value / 86_400)} d`;
}

export function formatValue(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '−Inf';
  switch (unit) {
    case 'percent':
      return `${trim(value.toFixed(Math.abs(value) < 0.05 ? 2 : 1))} %`;
    case 'bytes':
      return scaled(value, 1024, IEC);
    case 'bytes/s':
      return `${scaled(value, 1024, IEC)}/s`;
    case 'seconds':
      return formatSeconds(value);
    case 'ops/s':
    case 'packets/s':
      return `${scaled(value, 1000, SI)}/s`;
    case 'number':
      return Math.abs(value) < 10_000 ? digits(value) : scaled(value, 1000, SI);
  }
}

/** Uptime and the like, two units at most: "3 d 4 h", "12 min". */
export function formatAge(seconds: number): string {
  const parts: Array<[number, string]> = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0 s';
  const [size, name] = parts[first]!;
  const head = `${Math.floor(seconds / size)} ${name}`;
  const next = parts[first + 1];
  if (!next || name === 'min') return head;
  const rest = Math.floor((seconds % size) / next[0]);
  return rest === 0 ? head : `${head} ${rest} ${next[1]}`;
}

/** Distances between axis ticks that look round in the unit: powers of two for bytes; undefined leaves the decimal default. */
export function tickSteps(unit: Unit): number[] | undefined {
  if (unit !== 'bytes' && unit !== 'bytes/s') return undefined;
  const steps: number[] = [];
  for (let power = 0; power < 60; power += 1) steps.push(2 ** power);
  return steps;
}
