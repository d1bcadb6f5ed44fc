// Owns the narrow navigation on the left (at the bottom of a narrow screen).

import { Link, useSearch } from '@tanstack/react-router';
import { Icon } from '../design/Icon';
import iconUrl from '../design/icon.svg';
import { PAGES } from './pages';
import { sharedSearch } from './search';
import classes from './Shell.module.css';

export function Nav() {
  const search = sharedSearch(useSearch({ strict: false }));
  return (
    <nav className={classes.nav} aria-label="Pages">
      <Link to="/hosts" search={search} className={classes.brand} aria-label="Bellwether">
        <img src={iconUrl} width={28} height={28} alt="" />
      </Link>
      {PAGES.map((page) => (
        <Link key={page.path} to={page.path} search={search} className={classes.navLink} title={`${page.name} (g ${page.key})`}>
          <Icon name={page.icon} size={20} />
          <span>{page.name}</span>
        </Link>
      ))}
    </nav>
  );
}
