// Owns the line above the figures: which host, and what it is.

import { Select } from '@mantine/core';
import { useInstant } from './useInstant';
import classes from './Hosts.module.css';
import { fillAll, type MaybeContext } from './panel';
import type { Hosts } from './useHosts';

function About({ context }: { context: MaybeContext }) {
  const { data } = useInstant(fillAll(['node_uname_info{$host}', 'node_os_info{$host}'], context), `about ${context?.host}`);
  const uname = data?.[0]?.[0]?.metric;
  const os = data?.[1]?.[0]?.metric;
  const facts = [os?.pretty_name, uname && `${uname.sysname} ${uname.release}`, uname?.machine].filter(Boolean);
  return <span className="dim">{facts.join(' · ')}</span>;
}

export function HostHead({ hosts, context }: { hosts: Hosts; context: MaybeContext }) {
  const missing = hosts.host !== undefined && hosts.names.length > 0 && !hosts.names.includes(hosts.host);
  const options = missing ? [...hosts.names, hosts.host!] : hosts.names;
  return (
    <div className={classes.head}>
      <Select
        aria-label="Host"
        data={options}
        value={hosts.host ?? null}
        onChange={(value) => value !== null && hosts.choose(value)}
        searchable={options.length > 8}
        allowDeselect={false}
        nothingFoundMessage="No such host"
        placeholder="Host"
        limit={200}
        w={240}
      />
      <About context={context} />
      {missing && <span className={classes.bad} role="alert">The address names a host that sends nothing: {hosts.host}</span>}
    </div>
  );
}
