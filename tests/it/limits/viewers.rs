//! Viewer limits.

use hearth_test_support::Viewer;

use crate::limits::scenario::Scenario;

#[tokio::test]
async fn one_viewer_too_many_is_rejected_and_the_others_stay() {
    let scenario = Scenario::with(&[]).await;
    let link = scenario.guilty.created["liveViewUrl"]
        .as_str()
        .expect("a link is a string");
    let mut viewers = Vec::new();
    for _ in 0..32 {
        let mut viewer = Viewer::connect(link).await;
        // A viewer is connected once it receives a frame.
        viewer.frame().await;
        viewers.push(viewer);
    }
    let (code, reason) = Viewer::connect(link)
        .await
        .closed()
        .await
        .expect("the reason is given");
    assert_eq!(code, 1008);
    assert!(
        reason.contains("this session already has 32 viewers"),
        "{reason}"
    );
    drop(viewers.pop());
    scenario
        .guilty
        .node("await page.setContent('<h1>Changed</h1>'); 1")
        .await
        .ok();
    viewers[0].frame().await;
    hearth_test_support::eventually(
        std::time::Duration::from_secs(5),
        "another viewer can connect",
        || async {
            let next = Viewer::connect(link).await;
            match tokio::time::timeout(std::time::Duration::from_millis(500), next.closed()).await {
                Ok(closed) => Err(format!("{closed:?}")),
                Err(_) => Ok(()),
            }
        },
    )
    .await;
    scenario.stop().await;
}
