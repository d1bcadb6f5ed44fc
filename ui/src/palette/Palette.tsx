// Owns the ⌘K palette: one field, one list, all by keyboard.

import { Modal } from '@mantine/core';
import { useDeferredValue, useMemo, useState, type KeyboardEvent } from 'react';
import { Icon } from '../design/Icon';
import { findCommands, type Command } from './commands';
import classes from './Palette.module.css';
import { useCommands } from './useCommands';

interface PaletteProps {
  close: () => void;
  showShortcuts: () => void;
}

export default function Palette({ close, showShortcuts }: PaletteProps) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const wanted = useDeferredValue(text);
  const commands = useCommands(showShortcuts);
  const found = useMemo(() => findCommands(commands, wanted), [commands, wanted]);
  const active = Math.min(at, Math.max(0, found.length - 1));

  const run = (command: Command | undefined) => {
    if (!command) return;
    close();
    command.run();
  };
  const onKey = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      const next = (active + move + found.length) % Math.max(1, found.length);
      setAt(next);
      document.getElementById(`command-${next}`)?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter') {
      event.preventDefault();
      // The list may still be behind the text: Enter means what was typed.
      run(wanted === text ? found[active] : findCommands(commands, text)[0]);
    }
  };

  return (
    <Modal opened onClose={close} withCloseButton={false} padding={0} size={620} yOffset="10vh" aria-label="Find anything">
      <div className={classes.field}>
        <Icon name="search" />
        <input
          data-autofocus
          role="combobox"
          aria-expanded
          aria-controls="commands"
          aria-activedescendant={found.length > 0 ? `command-${active}` : undefined}
          aria-label="Find a page, metric, query, time range or theme"
          placeholder="Page, metric, earlier query, time range, theme"
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={onKey}
          spellCheck={false}
        />
      </div>
      <div id="commands" role="listbox" aria-label="Commands" className={classes.list}>
        {found.map((command, i) => (
          <div key={command.id} className={classes.entry}>
            {command.group !== found[i - 1]?.group && <div className={classes.group}>{command.group}</div>}
            <div
              id={`command-${i}`}
              role="option"
              aria-selected={i === active}
              className={classes.command}
              onMouseMove={() => setAt(i)}
              onClick={() => run(command)}
            >
              <span className={command.mono ? 'mono' : undefined}>{command.text}</span>
              {command.hint && <small>{command.hint}</small>}
            </div>
          </div>
        ))}
        {found.length === 0 && <p className={classes.nothing}>Nothing matches “{text}”</p>}
      </div>
    </Modal>
  );
}
