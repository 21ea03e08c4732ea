"""The second composition root: folders of pipelines as a component in a Dagster project of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from weakref import WeakKeyDictionary

from dagster import (
    AssetsDefinition,
    AssetSpec,
    Component,
    ComponentLoadContext,
    ComponentTypeSpec,
    Definitions,
    Model,
    Resolvable,
    Resolver,
    Scaffolder,
    ScaffoldRequest,
    ScheduleDefinition,
    SensorDefinition,
    scaffold_with,
)
from dagster.components.component_scaffolding import scaffold_component
from dagster.components.core.component_tree_state import ComponentTreeStateTracker
from dagster.components.core.decl import ComponentDecl
from dagster.components.core.defs_module import ComponentLoc, ComponentPath
from dagster.components.scaffold.scaffold import NoParams

from medkg_dagster.errors import ConfigError
from medkg_dagster.settings import EXECUTORS, Settings, absolute_path, check_home
from medkg_dagster.topology.pipeline_files import ConfigFiles
from medkg_dagster.topology.placement import ExecutorName

_FIRST_PIPELINE = """\
name: {name}
version: "2026-01-01"
stages:
  - {{name: ingest, type: ingest, config: {{adapter: auto}}}}
  - {{name: parse, type: parse, depends_on: [ingest]}}
  - {{name: ir_validation, type: ir-validation, depends_on: [parse]}}
  - {{name: chunk, type: chunk, depends_on: [ir_validation]}}
"""
_DECLARATIONS = ("defs.yaml", "defs.yml", "component.yaml")


class StagePipelineScaffolder(Scaffolder[NoParams]):
    """What `dg scaffold defs` makes: the declaration, and a first pipeline to change."""

    def scaffold(self, request: ScaffoldRequest[NoParams]) -> None:
        """Write the files.

        Args:
            request: Where to, and in which format.
        """
        scaffold_component(request, {"pipelines": "pipelines"})
        place = request.target_path.parent if request.append else request.target_path
        file = place / "pipelines" / f"{place.name}.yaml"
        if not file.parent.exists():
            file.parent.mkdir()
            file.write_text(_FIRST_PIPELINE.format(name=place.name), "utf-8")


@scaffold_with(StagePipelineScaffolder)
class StagePipelineComponent(Component, Model, Resolvable):
    """Pipelines of stages, from a folder of YAML files.

    Each pipeline becomes a group of assets, one per stage, with its jobs, sensors and schedules. Paths
    start from the folder that holds the `defs.yaml`. Several components in one project are one deployment:
    they share the ledger, the data and the plugins, and each adds its own folder of pipelines.

    Example, with pipelines in `defs/oncology/pipelines/*.yaml`:

        # defs/oncology/defs.yaml
        type: medkg_dagster.StagePipelineComponent
        attributes:
          pipelines: pipelines
          resilience: resilience.yaml
          home: "{{ env.MEDKG_HOME }}"
    """

    pipelines: Annotated[
        str,
        Resolver.default(description="The folder of pipeline files (*.yaml).", examples=["pipelines", "."]),
    ] = "pipelines"
    resilience: Annotated[
        str | None,
        Resolver.default(
            description="The file of resilience policies; without it, that of MEDKG_CONFIG or the package's.",
            examples=["resilience.yaml"],
        ),
    ] = None
    plugins: Annotated[
        str | None,
        Resolver.default(
            description="The file that says which plugins are let in; without it, that of MEDKG_CONFIG.",
            examples=["plugins.yaml"],
        ),
    ] = None
    alerts: Annotated[
        str | None,
        Resolver.default(
            description="The file that says who is told of what happens; without it, that of MEDKG_CONFIG.",
            examples=["alerts.yaml"],
        ),
    ] = None
    home: Annotated[
        str | None,
        Resolver.default(
            description="The folder for all data: ledger, state, index and graph; without it, MEDKG_HOME, or "
            ".medkg in the project's folder.",
            examples=["{{ env.MEDKG_HOME }}", "{{ context.project_root }}/data"],
        ),
    ] = None
    translator: Annotated[
        str | None,
        Resolver.default(
            description="The class that says how stages show as assets; without it, MEDKG_TRANSLATOR.",
            examples=["our_lab.assets:OurTranslator"],
        ),
    ] = None
    executor: Annotated[
        ExecutorName | None,
        Resolver.default(
            description="How the steps of the pipelines' jobs are executed; without it, MEDKG_EXECUTOR.",
            examples=list(EXECUTORS),
        ),
    ] = None

    @classmethod
    def get_spec(cls) -> ComponentTypeSpec:
        """Return what `dg` and the UI say about the component type."""
        return ComponentTypeSpec(
            tags=["biomedical", "pipelines", "yaml"],
            produces=["asset", "asset_check", "job", "resource", "sensor"],
        )

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        """Return the definitions of this component's pipelines, and once in a project the shared ones.

        Args:
            context: The place of this component in its project.

        Raises:
            ConfigError: A path names nothing, or two components of the project contradict each other.
            TopologyError: Something cannot be loaded, and MEDKG_STRICT=1.
        """
        places = _places(self, context)
        tracker = context.component_tree.state_tracker
        deployment = _DEPLOYMENTS.get(tracker)
        if deployment is None or deployment.places != places:
            deployment = _compose(places, context.project_root)
            _DEPLOYMENTS[tracker] = deployment
        return deployment.definitions_of(context.component_loc)


@dataclass(frozen=True, slots=True)
class _Place:
    """One component of the project.

    Attributes:
        loc: How Dagster names its place.
        component: The component.
        file: The file that declares it.
    """

    loc: ComponentLoc
    component: StagePipelineComponent
    file: Path

    @property
    def pipelines(self) -> Path:
        """The folder of its pipelines."""
        return self.path(self.component.pipelines)

    def path(self, written: str) -> Path:
        """Return a path as an attribute means it."""
        return absolute_path(f"{self.file}: a path", written, self.file.parent).resolve()

    def existing(self, name: str, written: str, *, is_folder: bool = False) -> Path:
        """Return a path that is there; raises `ConfigError` where it is not."""
        path = self.path(written)
        if path.is_dir() if is_folder else path.is_file():
            return path
        raise ConfigError(
            f"{self.file}: the attribute '{name}' names {path}, which is not a "
            f"{'folder' if is_folder else 'file'}; create it, or correct the path"
        )


@dataclass(frozen=True, slots=True)
class _Deployment:
    """All components of a project, composed.

    Attributes:
        places: The components.
        definitions: The definitions of all of them.
        owners: By pipeline or job, the component that gives it to Dagster; what is in no pipeline is given
            by the first.
    """

    places: tuple[_Place, ...]
    definitions: Definitions
    owners: dict[str, ComponentLoc]

    def definitions_of(self, loc: ComponentLoc) -> Definitions:
        """Return the part of one component, so that each definition is given to Dagster once."""
        defs = self.definitions

        def own(items: Iterable[Any] | None) -> list[Any]:
            first = self.places[0].loc
            return [item for item in items or () if self.owners.get(_belongs_to(item), first) == loc]

        return Definitions(
            assets=own(defs.assets),
            asset_checks=own(defs.asset_checks),
            jobs=own(defs.jobs),
            schedules=own(defs.schedules),
            sensors=own(defs.sensors),
            # Dagster merges what is the same object, and each part can be loaded without the others.
            resources=defs.resources,
        )


# Dagster builds components one by one; those of a project find each other by the state of its load.
_DEPLOYMENTS: WeakKeyDictionary[ComponentTreeStateTracker, _Deployment] = WeakKeyDictionary()


def _places(component: StagePipelineComponent, context: ComponentLoadContext) -> tuple[_Place, ...]:
    """Return all components of the project, in the order of its folders."""
    own = _place(context.component_loc, component)
    found = []
    # A component that is built in a test stands in no project.
    if isinstance(context.component_decl, ComponentDecl):
        for loc, decl in context.component_tree.find_root_decl().iterate_loc_component_decl_pairs():
            if loc != own.loc and _is_ours(decl.component_type):
                found.append(_place(loc, context.load_structural_component_at_loc(loc)))
    return tuple(sorted([own, *found], key=lambda place: (place.file, str(place.loc))))


def _is_ours(component_type: Any) -> bool:
    return isinstance(component_type, type) and issubclass(component_type, StagePipelineComponent)


def _place(loc: ComponentLoc, component: Component) -> _Place:
    if not isinstance(loc, ComponentPath) or not isinstance(component, StagePipelineComponent):
        raise ConfigError(
            "a StagePipelineComponent reads files of its own folder; declare it in a defs.yaml of the project"
        )
    path = loc.file_path
    files = [path] if path.is_file() else [path / name for name in _DECLARATIONS]
    return _Place(loc, component, next((file for file in files if file.is_file()), files[0]))


def _compose(places: tuple[_Place, ...], project: Path) -> _Deployment:
    # Dagster imports this module wherever the package is installed, also for projects without pipelines.
    from medkg_dagster.compiler.compile_plan import compile_plan
    from medkg_dagster.resolution import deploy
    from medkg_dagster.topology.alerts_file import load_alerts
    from medkg_dagster.topology.pipeline_files import load_pipelines
    from medkg_dagster.topology.plugins_file import load_plugin_policy

    settings = _settings(places, project)
    files = _config_files(places, settings)
    loaded = load_pipelines(files)
    policy = load_plugin_policy(files.plugins, enabled=settings.plugins)
    deployment = deploy(loaded, policy, load_alerts(files.alerts), settings.home)
    plan = deployment.plan
    locs = {place.pipelines: place.loc for place in places}
    folders = {item.topology.name: item.file.parent for item in loaded.pipelines}
    owners = {
        name: locs[folders[pipeline.name]]
        for pipeline in plan.pipelines
        for name in (pipeline.dagster_name, *(phase.job_name for phase in pipeline.phases))
    }
    definitions = compile_plan(plan, deployment.factory, settings, is_default_executor=False)
    return _Deployment(places, definitions, owners)


def _settings(places: Sequence[_Place], project: Path) -> Settings:
    settings = Settings.from_environment(cwd=project)
    home = _agreed(places, "home")
    executor = _agreed(places, "executor")
    translator = _agreed(places, "translator")
    return replace(
        settings,
        home=check_home(f"{home[0].file}: the attribute 'home'", home[0].path(home[1]))
        if home
        else settings.home,
        executor=executor[1] if executor else settings.executor,
        translator=translator[1] if translator else settings.translator,
    )


def _config_files(places: Sequence[_Place], settings: Settings) -> ConfigFiles:
    defaults = ConfigFiles.of(settings.config)
    folders: dict[Path, _Place] = {}
    for place in places:
        folder = place.existing("pipelines", place.component.pipelines, is_folder=True)
        other = folders.setdefault(folder, place)
        if other is not place:
            raise ConfigError(
                f"{other.file} and {place.file}: two components name the folder {folder}; remove one of them"
            )
    named = {
        name: given[0].existing(name, given[1])
        for name in ("resilience", "plugins", "alerts")
        if (given := _agreed(places, name))
    }
    declarations = {place.file.parent / name for place in places for name in _DECLARATIONS}
    return ConfigFiles(
        folders=tuple(folders),
        resilience=named.get("resilience", defaults.resilience),
        plugins=named.get("plugins", defaults.plugins),
        alerts=named.get("alerts", defaults.alerts),
        others=frozenset([*declarations, *named.values()]),
    )


def _agreed(places: Sequence[_Place], name: str) -> tuple[_Place, str] | None:
    """Return an attribute of the deployment and who gives it; None where no component does."""
    found: tuple[_Place, str] | None = None
    for place in places:
        written = getattr(place.component, name)
        if written is None or not written.strip():  # `{{ env.MEDKG_HOME }}` may be empty
            continue
        if found is None:
            found = place, written
        elif _meant(name, *found) != _meant(name, place, written):
            raise ConfigError(
                f"{found[0].file} and {place.file}: the attribute '{name}' is {found[1]!r} in one and "
                f"{written!r} in the other, but the components of a project are one deployment; give it once"
            )
    return found


def _meant(name: str, place: _Place, written: str) -> str | Path:
    return written if name in {"executor", "translator"} else place.path(written)


def _belongs_to(item: Any) -> str:
    """Return the pipeline or job that a definition belongs to; empty where it belongs to none."""
    if isinstance(item, SensorDefinition):
        return item.targets[0].job_name if item.targets else ""
    if isinstance(item, ScheduleDefinition):
        return item.job_name
    if isinstance(item, AssetsDefinition):
        keys = [*item.keys, *(check.asset_key for check in item.check_keys)]
        return keys[0].path[-2]
    return item.key.path[-2] if isinstance(item, AssetSpec) else item.name
