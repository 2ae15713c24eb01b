# SPDX-License-Identifier: Apache-2.0
"""Detects monasca-persister (this one, in C) for monasca-setup, in the place of its own MonPersister.

MonPersister (monasca_setup/detection/plugins/mon.py) knows a Java and a Python persister; at any other
it raises, and monasca-setup ends. Put this file into /usr/lib/monasca/agent/custom_detect.d/ and run

    monasca-setup ... --skip_detection_plugins MonPersister

or, for this one alone, `monasca-setup -d Persister`. README.md beside it has the rest.

For each instance that runs here it sets up the health check of its admin port (http_check) and, unless
the instance sends its figures to the agent by StatsD anyway, the figures of its admin port
(http_metrics); and for all of them together whether their processes live (process). What is asked for
follows from the instance's own configuration file.

Argument (-a): figures=auto, admin, or none; auto is the default, admin: in any case.
"""

import glob
import logging
import os
import socket

from oslo_config import cfg

from monasca_agent.common.psutil_wrapper import psutil
import monasca_setup.agent_config
import monasca_setup.detection

log = logging.getLogger(__name__)

PROGRAM = 'monasca-persister'
CONFIG_FILES = ('/etc/monasca/monasca-persister.conf',
                '/usr/local/etc/monasca/monasca-persister.conf')
SERVICE, COMPONENT = 'monitoring', 'monasca-persister'

# Of the instance, as /metrics has them (pstats -l says what each is). The agent makes a rate of what
# grows; a rate has a name of its own, so that it is not taken for the counter that StatsD sends.
GAUGES = ('lag', 'lag_seconds', 'lag_committed', 'lag_committed_seconds', 'in_flight', 'batch_size',
          'batch_age_ms', 'unstored_age_ms', 'store_tries', 'partitions', 'workers_running',
          'workers_wanted', 'memory_bytes')
RATES = ('received', 'completed', 'rejected', 'returned', 'bytes_in', 'batches', 'store_errors',
         'store_retries', 'commits_failed', 'kafka_errors', 'offset_skipped', 'restarts')


def find_masters():
    """The processes that are masters: workers and the like have a title as their command line."""
    masters = []
    for process in psutil.process_iter():
        try:
            argv = process.as_dict(['cmdline'])['cmdline']
        except psutil.NoSuchProcess:
            continue
        # None: a zombie, or not ours to see.
        if argv and os.path.basename(argv[0]) == PROGRAM:
            masters.append((process, argv))
    return masters


def find_config_files(process, argv):
    """What is read: --config-file and --config-dir in their order, in either form; without the former
    the default file, wherever it is, before all."""
    files, given = [], False
    for i, argument in enumerate(argv):
        name, equals, value = argument.partition('=')
        if name not in ('--config-file', '--config-dir') or not (equals or i + 1 < len(argv)):
            continue
        path = os.path.join(process.cwd(), value if equals else argv[i + 1])
        if name == '--config-file':
            files, given = files + [path], True
        else:
            files += sorted(glob.glob(os.path.join(path, '*.conf')))
    if not given:
        files.insert(0, next((path for path in CONFIG_FILES if os.path.exists(path)), CONFIG_FILES[0]))
    return files


def read_config(paths):
    """What concerns us of the files; defaults as in monasca-persister --sample-config."""
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.BoolOpt('enabled', default=True),
                        cfg.StrOpt('bind', default='127.0.0.1'),
                        cfg.PortOpt('port', default=8091)], group='admin')
    conf.register_opts([cfg.BoolOpt('enabled', default=True),
                        cfg.StrOpt('dialect', default='monasca')], group='statsd')
    conf.register_opt(cfg.StrOpt('instance', default=''), group='persister')
    conf(args=[], project=PROGRAM, default_config_files=paths, default_config_dirs=[])
    return conf


def make_url(conf):
    """The admin port's, as somebody on this host reaches it."""
    host = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(conf.admin.bind, conf.admin.bind)
    return 'http://{0}:{1}'.format('[%s]' % host if ':' in host else host, conf.admin.port)


def make_whitelist():
    prefix = 'monasca.persister.'
    return ([{'name': prefix + name, 'path': 'gauges/{0}{1}/value'.format(prefix, name),
              'type': 'gauge'} for name in GAUGES] +
            [{'name': prefix + name + '_per_second',
              'path': 'counters/{0}{1}/count'.format(prefix, name),
              'type': 'rate'} for name in RATES])


def make_process_checks():
    """The masters by their name; their children by the title that all of them have.

    Not detailed: agent 10.0.0 asks psutil for memory_info_ex(), which psutil 7 does not have, so that
    there is an error at each round. The figures have the memory of the workers.
    """
    return [{'name': PROGRAM, 'search_string': [PROGRAM], 'exact_match': True, 'detailed': False,
             'dimensions': {'service': SERVICE, 'component': COMPONENT}},
            {'name': PROGRAM + '-children', 'search_string': [PROGRAM + ': '], 'exact_match': False,
             'detailed': False, 'dimensions': {'service': SERVICE, 'component': COMPONENT}}]


class Persister(monasca_setup.detection.Plugin):
    """Detects running instances and sets up their checks."""

    def _detect(self):
        self._figures = (self.args or {}).get('figures', 'auto')
        if self._figures not in ('auto', 'admin', 'none'):
            raise ValueError('figures={0}: allowed: auto, admin, none'.format(self._figures))
        self._instances = {}
        masters = find_masters()
        for process, argv in masters:
            try:
                conf = read_config(find_config_files(process, argv))
            except (cfg.Error, OSError, psutil.Error) as e:
                log.error('\t%s (pid %d): its configuration cannot be read, only its process is '
                          'watched: %s', PROGRAM, process.pid, e)
                continue
            self._instances[conf.persister.instance or socket.gethostname()] = conf
        self.available = bool(masters)
        if not masters:
            log.info('%s process has not been found. Plugin for it will not be configured.', PROGRAM)

    def build_config(self):
        config = monasca_setup.agent_config.Plugins()
        log.info('\tEnabling the process check of %s', PROGRAM)
        config['process'] = {'init_config': None, 'instances': make_process_checks()}
        for name, conf in sorted(self._instances.items()):
            self._add_instance(config, name, conf)
        return config

    def _add_instance(self, config, name, conf):
        if not conf.admin.enabled:
            log.warning('\t%s %s: its admin port is switched off', PROGRAM, name)
            return
        common = {'timeout': 5, 'dimensions': {'service': SERVICE, 'component': COMPONENT,
                                               'instance': name}}
        url = make_url(conf)
        log.info('\tEnabling the health check of %s %s', PROGRAM, name)
        config.merge({'http_check': {'init_config': None, 'instances': [dict(
            common, name='{0} {1} healthcheck'.format(PROGRAM, name), url=url + '/healthcheck',
            include_content=False)]}})
        by_statsd = conf.statsd.enabled and conf.statsd.dialect == 'monasca'
        if self._figures == 'none' or (self._figures == 'auto' and by_statsd):
            log.info('\t%s %s: its figures come by StatsD or not at all', PROGRAM, name)
            return
        log.info('\tEnabling the figures of %s %s', PROGRAM, name)
        config.merge({'http_metrics': {'init_config': None, 'instances': [dict(
            common, name='{0} {1} figures'.format(PROGRAM, name), url=url + '/metrics',
            whitelist=make_whitelist())]}})

    def dependencies_installed(self):
        return True
