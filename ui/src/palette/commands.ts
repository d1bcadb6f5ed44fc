// Owns what the palette offers and how it is searched. Pure: actions are called by Palette.tsx.

export interface Command {
  id: string;
  group: 'Pages' | 'Metrics' | 'Earlier queries' | 'Time range' | 'Refresh' | 'Theme' | 'Help';
  text: string;
  hint?: string;
  mono?: boolean;
  run: () => void;
}

/** Per group, so that a thousand metrics do not hide the pages. */
const MAX_PER_GROUP = 8;
/** Shown before anything is typed. */
const GROUPS_AT_START: ReadonlySet<Command['group']> = new Set(['Pages', 'Earlier queries', 'Time range', 'Theme', 'Help']);

function rank(command: Command, words: string[]): number | undefined {
  const text = command.text.toLowerCase();
  const hay = `${command.group} ${text} ${command.hint ?? ''}`.toLowerCase();
  if (!words.every((word) => hay.includes(word))) return undefined;
  if (text.startsWith(words[0]!)) return 0;
  return words.every((word) => text.includes(word)) ? 1 : 2;
}

/** The commands that match, in the order of groups, best first within each. */
export function findCommands(commands: Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const ranked = commands.flatMap((command) => {
    if (words.length === 0) return GROUPS_AT_START.has(command.group) ? [{ command, at: 0 }] : [];
    const at = rank(command, words);
    return at === undefined ? [] : [{ command, at }];
  });
  ranked.sort((a, b) => a.at - b.at);
  const groups = [...new Set(ranked.map(({ command }) => command.group))];
  const counts = new Map<string, number>();
  return ranked
    .filter(({ command }) => {
      const count = counts.get(command.group) ?? 0;
      counts.set(command.group, count + 1);
      return count < MAX_PER_GROUP;
    })
    .map(({ command }) => command)
    .sort((a, b) => groups.indexOf(a.group) - groups.indexOf(b.group));
}
