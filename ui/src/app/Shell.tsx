// Owns the frame around every page: navigation, top bar, notices, and the overlays opened by keys.

import { Outlet, useRouterState } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useEffect, useState } from 'react';
import { useAutoRefresh } from '../time/useAutoRefresh';
import { Nav } from './Nav';
import { Notices } from './Notices';
import { PAGES } from './pages';
import classes from './Shell.module.css';
import { TopBar } from './TopBar';
import { useShortcuts } from './useShortcuts';

const Palette = lazy(() => import('../palette/Palette'));
const ShortcutHelp = lazy(() => import('./ShortcutHelp'));

export type Overlay = 'none' | 'palette' | 'shortcuts';

export function Shell() {
  const [overlay, setOverlay] = useState<Overlay>('none');
  const path = useRouterState({ select: (state) => state.location.pathname });
  useAutoRefresh();
  useShortcuts(setOverlay);
  useEffect(() => {
    const page = PAGES.find((p) => path.startsWith(p.path));
    document.title = page ? `${page.name} · Bellwether` : 'Bellwether';
  }, [path]);
  const close = useCallback(() => setOverlay('none'), []);
  const showShortcuts = useCallback(() => setOverlay('shortcuts'), []);

  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#page">Skip to the page</a>
      <Nav />
      <TopBar open={setOverlay} />
      <main id="page" className={classes.page} tabIndex={-1}>
        <Notices />
        <Outlet />
      </main>
      <Suspense fallback={null}>
        {overlay === 'palette' && <Palette close={close} showShortcuts={showShortcuts} />}
        {overlay === 'shortcuts' && <ShortcutHelp close={close} />}
      </Suspense>
    </div>
  );
}
