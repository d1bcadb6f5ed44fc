// Owns the notice that parts of the address could not be read, and their removal.

import { Button } from '@mantine/core';
import { useRouterState } from '@tanstack/react-router';
import { Icon } from '../design/Icon';
import { findProblems } from './problems';
import classes from './Shell.module.css';
import { useUrl } from './useUrl';

export function Notices() {
  const { search, patch } = useUrl();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const problems = findProblems(path, search);
  if (problems.length === 0) return null;
  const repair = () => patch(Object.fromEntries(problems.flatMap((p) => p.keys).map((key) => [key, undefined])), true);
  return (
    <div className={classes.notice} role="alert">
      <Icon name="warning" />
      <div>
        {problems.map((p) => (
          <div key={p.message}>In the address: {p.message}. The default is shown instead.</div>
        ))}
      </div>
      <Button size="compact-xs" onClick={repair}>Clean the address</Button>
    </div>
  );
}
