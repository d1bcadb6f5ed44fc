// Owns the routes: which page stands at which path. Pages load when first opened.

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { PageError, PageMissing } from './PageError';
import { parseSearch, stringifySearch, validateSearch } from './search';
import { Shell } from './Shell';

const root = createRootRoute({ component: Shell, validateSearch, notFoundComponent: PageMissing, errorComponent: PageError });

const index = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: ({ search }) => {
    throw redirect({ to: '/hosts', search, replace: true });
  },
});

const hosts = createRoute({
  getParentRoute: () => root,
  path: '/hosts',
  component: lazyRouteComponent(() => import('../hosts/HostsPage'), 'HostsPage'),
});
const explore = createRoute({
  getParentRoute: () => root,
  path: '/explore',
  component: lazyRouteComponent(() => import('../explore/ExplorePage'), 'ExplorePage'),
});
const targets = createRoute({
  getParentRoute: () => root,
  path: '/targets',
  component: lazyRouteComponent(() => import('../targets/TargetsPage'), 'TargetsPage'),
});
const status = createRoute({
  getParentRoute: () => root,
  path: '/status',
  component: lazyRouteComponent(() => import('../status/StatusPage'), 'StatusPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([index, hosts, explore, targets, status]),
  parseSearch,
  stringifySearch,
  defaultErrorComponent: PageError,
  defaultPreload: 'intent',
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
