using Experiments.Api.Domain;
using static Experiments.Api.Domain.ExperimentAction;
using static Experiments.Api.Domain.ExperimentStatus;

namespace Experiments.Tests.Domain;

public class LifecycleTests
{
    [Fact]
    public void The_whole_matrix_of_statuses_and_actions_is_as_promised()
    {
        var matrix = Enum.GetValues<ExperimentStatus>()
            .SelectMany(status => Enum.GetValues<ExperimentAction>().Select(action => (status, action)))
            .ToDictionary(move => move, move => Lifecycle.After(move.status, move.action));

        matrix.ShouldBe(
            new Dictionary<(ExperimentStatus, ExperimentAction), ExperimentStatus?>
            {
                [(Created, Start)] = Running,
                [(Created, Pause)] = null,
                [(Created, Complete)] = null,
                [(Running, Start)] = null,
                [(Running, Pause)] = Paused,
                [(Running, Complete)] = Completed,
                [(Paused, Start)] = Running,
                [(Paused, Pause)] = null,
                [(Paused, Complete)] = Completed,
                [(Completed, Start)] = null,
                [(Completed, Pause)] = null,
                [(Completed, Complete)] = null,
            },
            ignoreOrder: true
        );
    }

    [Fact]
    public void Sources_and_allowed_actions_are_the_matrix_read_the_other_way()
    {
        Lifecycle.Sources(Start).ShouldBe(["created", "paused"]);
        Lifecycle.Sources(Pause).ShouldBe(["running"]);
        Lifecycle.Sources(Complete).ShouldBe(["running", "paused"]);
        Lifecycle.Allowed(Paused).ShouldBe(["start", "complete"]);
        Lifecycle.Allowed(Completed).ShouldBeEmpty();
    }
}
