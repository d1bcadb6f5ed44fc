// Owns what stands in place of a page that failed or does not exist.

import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import classes from './Shell.module.css';

export function PageError({ error }: { error: unknown }) {
  const message = error instanceof Error ? error.message : String(error);
  const stale = /dynamically imported module|Importing a module/i.test(message);
  return (
    <div className={classes.message} role="alert">
      <h1>{stale ? 'Bellwether was updated' : 'This page failed'}</h1>
      <p className="dim">{stale ? 'This tab still runs the earlier version.' : message}</p>
      <Button onClick={() => window.location.reload()}>Load again</Button>
    </div>
  );
}

export function PageMissing() {
  return (
    <div className={classes.message}>
      <h1>There is no such page</h1>
      <p className="dim">The address names nothing this server has.</p>
      <Link to="/hosts">Go to Hosts</Link>
    </div>
  );
}
