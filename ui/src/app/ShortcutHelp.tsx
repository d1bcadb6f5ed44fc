// Owns the list of shortcuts.

import { Kbd, Modal } from '@mantine/core';
import classes from './Shell.module.css';
import { SHORTCUTS } from './useShortcuts';

export default function ShortcutHelp({ close }: { close: () => void }) {
  return (
    <Modal opened onClose={close} title="Keyboard shortcuts" size="md">
      <dl className={classes.shortcuts}>
        {SHORTCUTS.map(({ keys, does }) => (
          <div key={does}>
            <dt>{keys.map((key) => <Kbd key={key}>{key}</Kbd>)}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
