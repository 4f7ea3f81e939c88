"""`kandle doctor`: check this machine or a cluster, and say how to fix problems."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from local.cli.commands.up import HttpPort, UdpPort
from local.cli.options.common import DEFAULT_DATA_DIR, AsJson, DataDir
from local.supervisor.options import DEFAULT_HTTP_PORT, DEFAULT_UDP_PORT

app = typer.Typer()


@app.command("doctor")
def doctor(
    cluster: Annotated[bool, typer.Option("--cluster", help="The cluster of kubectl.")] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of Kandle.")] = "kandle",
    context: Annotated[
        str | None, typer.Option(help="kubectl's context. Default: the current one.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    http_port: HttpPort = DEFAULT_HTTP_PORT,
    udp_port: UdpPort = DEFAULT_UDP_PORT,
    as_json: AsJson = False,
) -> None:
    """Check this machine: programs, ports, disk, memory, limits, clock.

    With --cluster, check a cluster and Kandle in it: versions, kinds, the channel's config-nats,
    feature flags, storage, images, and every object that is not Ready, with its reason. Exit code 1
    if anything is wrong.

    Examples:

      kandle doctor

      kandle doctor --cluster

      kandle doctor --cluster --json | jq '.[] | select(.level == "error")'
    """
    from local.cluster.finding import Level

    if cluster:
        from local.cluster import doctor as cluster_doctor
        from local.cluster.kubectl import Kubectl
        from local.topology.repository import repository

        root = repository()
        findings = list(cluster_doctor.examine(Kubectl(context), namespace, root))
    else:
        from local import machine

        findings = list(machine.examine(data_dir, http_port, udp_port))
    if as_json:
        output = [{"level": f.level, "what": f.what, "detail": f.detail} for f in findings]
        typer.echo(json.dumps(output, indent=2))
    else:
        from rich.text import Text

        from local.cli.output import display

        console = display.console()
        colours = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}
        for each in findings:
            line = Text(f"{each.level:7} ", style=colours[each.level])
            line.append(f"{each.what}: {each.detail}" if each.detail else each.what, style="none")
            console.print(line, soft_wrap=True)
    if any(each.level is Level.ERROR for each in findings):
        raise typer.Exit(1)
